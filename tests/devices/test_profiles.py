from __future__ import annotations

import pytest
from bedside.devices.profiles import match_profile, profiles

MIB = 2**20


def test_keys_are_unique_and_every_row_names_its_source() -> None:
    rows = profiles()
    assert len({row.key for row in rows}) == len(rows)
    assert all(row.source for row in rows)


@pytest.mark.parametrize(
    ("key", "memory", "bandwidth", "int8", "fp16"),
    [
        ("orin-nano-8", 8, 68, 20, 10),
        ("orin-nano-8-super", 8, 102, 33, 17),
        ("orin-nx-16", 16, 102, 50, 15),
        ("orin-nx-16-super", 16, 102, 78, 19),
        ("agx-orin-64", 64, 204.8, 85, 42),
        ("nano-2019", 4, 25.6, None, 0.47),
        ("thor-t5000", 128, 273, None, 258),
    ],
)
def test_figures_are_those_of_the_data_sheets(
    key: str, memory: float, bandwidth: float, int8: float | None, fp16: float
) -> None:
    (row,) = [row for row in profiles() if row.key == key]
    assert (row.memory_gb, row.bandwidth_gb_s, row.int8_tops, row.fp16_tflops) == (memory, bandwidth, int8, fp16)


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
    ],
)
def test_a_module_is_matched_by_model_and_memory(model: str, memory_mb: int, is_super: bool, key: str) -> None:
    row = match_profile(model, memory_mb * MIB, is_super)
    assert row is not None
    assert row.key == key


def test_a_module_of_another_size_matches_nothing() -> None:
    assert match_profile("NVIDIA Jetson Nano 2GB Developer Kit", 1979 * MIB, False) is None
