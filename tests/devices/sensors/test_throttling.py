"""Counters, firmware and cooling devices say what was throttled; a fan is no throttling."""

from __future__ import annotations

from bedside.devices.sensors.throttling import read_throttling


def write(root, name, content):
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(f"{content}\n")


def test_counters_that_rose_are_named_with_their_difference(tmp_path):
    for core, count in ((0, 3), (1, 4)):
        folder = f"sys/devices/system/cpu/cpu{core}/thermal_throttle"
        write(tmp_path, f"{folder}/core_throttle_count", count)
        write(tmp_path, f"{folder}/package_throttle_count", 9)
    write(tmp_path, "sys/class/hwmon/hwmon1/oc3_event_cnt", 0)
    before = read_throttling(tmp_path)
    assert before.sources == ("kernel counters",)
    assert read_throttling(tmp_path).events_since(before) == ()
    write(tmp_path, "sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", 6)
    write(tmp_path, "sys/class/hwmon/hwmon1/oc3_event_cnt", 5)
    assert read_throttling(tmp_path).events_since(before) == (
        "core throttled by heat: 2 times",
        "over-current oc3: 5 times",
    )


def test_a_raspberry_pi_says_what_holds_now_and_not_what_held_once(tmp_path):
    write(tmp_path, "sys/devices/platform/soc/soc:firmware/get_throttled", "50005")  # bits 0, 2, 16, 18
    assert read_throttling(tmp_path).active == ("Raspberry Pi: under-voltage", "Raspberry Pi: throttled")


def test_cooling_devices_above_0_are_active_and_fans_are_not(tmp_path):
    for index, (kind, state) in enumerate((("cpufreq-cpu0", 2), ("pwm-fan", 3), ("Processor", 0))):
        write(tmp_path, f"sys/class/thermal/cooling_device{index}/type", kind)
        write(tmp_path, f"sys/class/thermal/cooling_device{index}/cur_state", state)
    state = read_throttling(tmp_path)
    assert (state.active, state.sources) == (("cooling device cpufreq-cpu0 at 2",), ("cooling devices",))


def test_without_any_file_nothing_is_claimed(tmp_path):
    state = read_throttling(tmp_path)
    assert (dict(state.counters), state.active, state.sources) == ({}, (), ())
