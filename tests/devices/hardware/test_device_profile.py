"""The profiles of devices: their figures, their sources, and what is refused."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from bedside.devices.hardware.device_profile import DeviceProfile, load_profile, match_profile, profiles, software
from bedside.runtime.errors import InputError, UsageError

MIB = 2**20
OWN = """
title = "Own"
memory_gb = { value = 4, source = "sheet" }

[sources]
sheet = "the data sheet"
"""


def figures(key: str) -> tuple[float | None, ...]:
    row = load_profile(key)
    sizes = (figure and figure.value for figure in (row.memory_gb, row.bandwidth_gb_s))
    return (*sizes, row.peak("int8"), row.peak("fp16"))


def test_the_known_devices():
    assert {row.key for row in profiles()} >= {
        "orin-nano-4", "orin-nano-8", "orin-nano-8-super", "orin-nx-8", "orin-nx-8-super", "orin-nx-16",
        "orin-nx-16-super", "agx-orin-32", "agx-orin-64", "xavier-nx-8", "xavier-nx-16", "nano-2019", "thor-t4000",
        "thor-t5000", "agx-orin-industrial", "raspberry-pi-5", "intel-n100", "core-ultra-7-258v", "xeon-8480-plus",
        "ryzen-7840hs",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("orin-nano-8", (8, 68, 20, 10)),
        ("orin-nano-8-super", (8, 102, 33, 17)),
        ("orin-nx-16", (16, 102, 30, 15)),  # of the GPU; the module's 50 include the DLA
        ("agx-orin-64", (64, 204.8, 85, 42)),
        ("nano-2019", (4, 25.6, None, 0.47)),
        ("thor-t5000", (128, 273, None, 258)),
    ],
)
def test_figures_are_those_of_the_data_sheets(key: str, expected: tuple[float | None, ...]) -> None:
    assert figures(key) == expected


# 8 or 16 SMs of Ampere, 4096 INT8 operations per cycle each in tensor cores, 256 float32 in CUDA cores
@pytest.mark.parametrize(
    ("key", "multiprocessors"),
    [("orin-nano-8", 8), ("orin-nx-16", 8), ("agx-orin-64", 16), ("agx-orin-industrial", 16)],
)
def test_the_speed_of_a_gpu_is_that_of_its_multiprocessors_and_clock(key: str, multiprocessors: int) -> None:
    (gpu,) = load_profile(key).processors
    assert gpu.clock_mhz is not None
    cycles = multiprocessors * gpu.clock_mhz.value * 1e6 / 1e12
    assert gpu.peak_tops["int8"].value == pytest.approx(4096 * cycles, rel=0.03)
    assert gpu.peak_tops["fp32"].value == pytest.approx(256 * cycles, rel=0.03)


@pytest.mark.parametrize("key", ["orin-nano-8-super", "orin-nx-8-super", "orin-nx-16-super"])
def test_a_super_module_without_a_limit_of_power_is_at_its_peaks(key: str) -> None:
    (mode,) = [mode for mode in load_profile(key).power_modes if mode.name == "MAXN_SUPER"]
    assert (mode.at_peak, mode.watts) == (True, None)


def test_a_device_is_named_in_upper_or_lower_case() -> None:
    assert load_profile("Orin-Nano-8").key == "orin-nano-8"


def test_both_jetpacks_name_their_engines() -> None:
    assert software()["jetpack-6.2"].versions["tensorrt"] == "10.3"
    assert software()["jetpack-7.2"].versions["tensorrt"] == "10.16.2"
    assert load_profile("orin-nano-8").software == ("jetpack-6.2", "jetpack-7.2")


# 62817, 3964 and 125772 MB are recorded; the others are nominal sizes less about 5 %, as on those.
@pytest.mark.parametrize(
    ("model", "memory_mb", "is_super", "key"),
    [
        ("NVIDIA Jetson AGX Orin Developer Kit", 62817, False, "agx-orin-64"),
        ("NVIDIA Jetson AGX Orin Developer Kit", 30697, False, "agx-orin-32"),
        ("NVIDIA Jetson Orin Nano Developer Kit", 7620, False, "orin-nano-8"),
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", 7620, True, "orin-nano-8-super"),
        ("NVIDIA Jetson Orin Nano Developer Kit", 3442, False, "orin-nano-4"),
        ("NVIDIA Jetson Orin NX Engineering Reference Developer Kit", 15656, False, "orin-nx-16"),
        ("NVIDIA Jetson Xavier NX Developer Kit", 7765, False, "xavier-nx-8"),
        ("NVIDIA Jetson Nano Developer Kit", 3964, False, "nano-2019"),
        ("NVIDIA Jetson AGX Thor Developer Kit", 125772, False, "thor-t5000"),
        ("Intel(R) Xeon(R) Platinum 8480+", 256_000, False, "xeon-8480-plus"),
        ("Raspberry Pi 5 Model B Rev 1.0", 4045, False, "raspberry-pi-5"),  # the device tree's
        ("Intel(R) N100", 31800, False, "intel-n100"),  # a CPU; its owner chose the memory
    ],
)
def test_a_machine_is_matched_by_model_and_memory(model: str, memory_mb: int, is_super: bool, key: str) -> None:
    row = match_profile(model, memory_mb * MIB, is_super)
    assert row is not None
    assert row.key == key


@pytest.mark.parametrize(
    ("model", "memory_mb"), [("NVIDIA Jetson Nano 2GB Developer Kit", 1979), ("AMD EPYC 9654 96-Core Processor", 24000)]
)
def test_another_machine_matches_nothing(model: str, memory_mb: int) -> None:
    assert match_profile(model, memory_mb * MIB, False) is None


def test_an_unknown_device_gets_the_nearest_names() -> None:
    with pytest.raises(UsageError, match='no device "orin-nano"; did you mean orin-nano-8, orin-nano-4'):
        load_profile("orin-nano")


def test_an_own_profile_is_read_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "box.toml").write_text(OWN)
    row = load_profile(tmp_path / "box.toml")
    assert (row.key, row.title) == ("box", "Own")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("value = 4", "value = -4"), r'"box.toml" is not valid: value: expected a number above 0, got -4'),
        (('source = "sheet" }', 'source = "web" }'), r'memory_gb: expected a source that .* explains, got "web"'),
        (("title", "titel"), "unknown field `titel`"),
        (("value = 4", 'value = "4"'), r"Expected `float`, got `str` - at `\$.memory_gb.value`"),
        (('"the data sheet"', '" "'), "memory_gb: expected a source"),
        (('title = "Own"', 'title = "Own"\nsoftware = ["jetpack-5"]'), "software: expected jetpack-6.2, jetpack-7.2"),
        (("[sources]", "[sources"), '"box.toml" is not valid'),
    ],
)
def test_a_malformed_profile_is_refused_with_its_field(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    (tmp_path / "box.toml").write_text(OWN.replace(*change))
    with pytest.raises(InputError, match=message):
        load_profile(tmp_path / "box.toml")


def test_a_speed_in_an_unknown_number_format_is_refused(tmp_path: Path) -> None:
    processor = '\n[[processors]]\nname = "GPU"\nengines = []\npeak_tops = { fp8 = { value = 1, source = "sheet" } }\n'
    (tmp_path / "box.toml").write_text(OWN + processor)
    with pytest.raises(InputError, match='peak_tops: expected fp32, fp16, bf16, int8, got "fp8"'):
        load_profile(tmp_path / "box.toml")


def test_power_modes_are_in_order(tmp_path: Path) -> None:
    modes = "".join(
        f'\n[[power_modes]]\nname = "{watts}W"\nwatts = {{ value = {watts}, source = "sheet" }}\n' for watts in (15, 7)
    )
    (tmp_path / "box.toml").write_text(OWN + modes)
    with pytest.raises(InputError, match="power_modes: expected the mode with fewest watts first"):
        load_profile(tmp_path / "box.toml")


def test_a_mode_without_a_limit_comes_last_and_more_units_than_there_are_is_refused(tmp_path: Path) -> None:
    free, limited = (
        '\n[[power_modes]]\nname = "MAXN"\n',
        '\n[[power_modes]]\nname = "7W"\nwatts = {value = 7, source = "sheet"}\n',
    )
    (tmp_path / "box.toml").write_text(OWN + limited + free)
    assert load_profile(tmp_path / "box.toml").power_modes[-1].watts is None
    (tmp_path / "box.toml").write_text(OWN + free + limited)
    with pytest.raises(InputError, match="expected the mode with fewest watts first"):
        load_profile(tmp_path / "box.toml")
    (tmp_path / "box.toml").write_text(OWN + limited + 'active_share = {value = 4, source = "sheet"}\n')
    with pytest.raises(InputError, match="active_share: expected a share of at most 1, got 4"):
        load_profile(tmp_path / "box.toml")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        load_profile(tmp_path / "none.toml")


def test_a_profile_of_ones_own_describes_a_machine_with_another_profile_if_it_names_it():
    own = DeviceProfile(key="box", title="Box", sources={}, model="Orin Nano")
    assert own.could_be("orin-nano-8", "ARMv8", "NVIDIA Jetson Orin Nano Developer Kit")
    assert not own.could_be("orin-nx-16", "ARMv8", "NVIDIA Jetson Orin NX")
    nameless = msgspec.structs.replace(own, model="")
    assert nameless.could_be(None, "Some CPU")
    assert not nameless.could_be("orin-nano-8", "ARMv8")


def test_a_shipped_profile_is_not_that_of_a_machine_with_another_one():
    """Modules of one name differ in memory: the board's name alone is not enough."""
    board = "NVIDIA Jetson Orin Nano Developer Kit"
    assert load_profile("orin-nano-8").could_be("orin-nano-8", "ARMv8", board)
    assert not load_profile("orin-nano-8").could_be("orin-nano-4", "ARMv8", board)
