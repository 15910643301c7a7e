from __future__ import annotations

import os
from pathlib import Path

import pytest
from bedside.devices import detect

GIB = 2**30


@pytest.fixture
def orin(tmp_path: Path) -> Path:
    """The files that detection reads, written by hand after a Jetson AGX Orin 64 GB with L4T 36.4.3.

    MemTotal is that of a recorded tegrastats line (62817 MB); the device tree's string ends with a NUL.
    """
    files = {
        "proc/cpuinfo": "processor : 0\nFeatures : fp asimd asimddp\nCPU implementer : 0x41\nCPU part : 0xd42\n",
        "proc/meminfo": "MemTotal:       64324608 kB\nMemFree:   1024 kB\nMemAvailable:   41943040 kB\n",
        "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
        "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n",
        "etc/os-release": 'NAME="Ubuntu"\nPRETTY_NAME="Ubuntu 22.04.5 LTS"\n',
        "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def test_this_machine_has_the_cores_and_memory_the_system_reports() -> None:
    host = detect()
    assert host.cpu.logical_cores == os.cpu_count()
    assert 1 <= host.usable_cores <= host.cpu.logical_cores
    assert host.memory_total == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert host.memory_available is not None
    assert 0 < host.memory_available <= host.memory_total


def test_a_jetson_is_known_by_device_tree_and_memory(orin: Path) -> None:
    host = detect(orin)
    assert host.jetson is not None
    assert (host.jetson.model, host.jetson.l4t) == ("NVIDIA Jetson AGX Orin Developer Kit", "36.4.3")
    assert host.profile == "agx-orin-64"
    assert (host.governor, host.memory_available) == ("schedutil", 40 * GIB)
    assert host.system.startswith("Ubuntu 22.04.5 LTS")


def test_memory_available_is_what_the_container_has_left(orin: Path) -> None:
    (orin / "proc/self").mkdir()
    (orin / "proc/self/cgroup").write_text("0::/\n")
    (orin / "sys/fs/cgroup").mkdir(parents=True)
    (orin / "sys/fs/cgroup/memory.max").write_text(str(8 * GIB))
    (orin / "sys/fs/cgroup/memory.current").write_text(str(3 * GIB))
    assert detect(orin).memory_available == 5 * GIB


def test_a_quota_of_half_a_cpu_leaves_one_usable_core(orin: Path) -> None:
    (orin / "proc/self").mkdir()
    (orin / "proc/self/cgroup").write_text("0::/\n")
    (orin / "sys/fs/cgroup").mkdir(parents=True)
    (orin / "sys/fs/cgroup/cpu.max").write_text("50000 100000")
    assert detect(orin).usable_cores == 1


def test_the_power_mode_is_asked_of_nvpmodel(
    orin: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path_factory.mktemp("programs")
    (programs / "nvpmodel").write_text("#!/bin/sh\necho 'NV Power Mode: MAXN_SUPER'\necho 0\n")
    (programs / "nvpmodel").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    jetson = detect(orin).jetson
    assert jetson is not None
    assert (jetson.power_mode, jetson.is_super) == ("MAXN_SUPER", True)


def test_a_machine_without_any_of_the_files_is_still_described(tmp_path: Path) -> None:
    host = detect(tmp_path)
    assert (host.jetson, host.profile, host.governor) == (None, None, "")


def test_a_raspberry_pi_is_known_by_its_device_tree(tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_text("Raspberry Pi 5 Model B Rev 1.0\0")
    (tmp_path / "proc/cpuinfo").write_text("processor : 0\nCPU implementer : 0x41\nCPU part : 0xd0b\n")
    host = detect(tmp_path)
    assert (host.jetson, host.profile) == (None, "raspberry-pi-5")
