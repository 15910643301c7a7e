"""Quantities with units, as people write them."""

import pytest
from bedside.cli.plan import quantities
from bedside.runtime import UsageError
from bedside.runtime.axes import XYZ


@pytest.mark.parametrize(
    ("text", "expected"), [("3GB", 3_000_000_000), ("512MB", 512_000_000), ("2GiB", 2**31), ("1.5 gb", 1_500_000_000)]
)
def test_sizes_are_bytes(text, expected):
    assert quantities.size("--memory", text) == expected


def test_powers_are_watts():
    assert [quantities.watts("--power", text) for text in ("15W", "7", "900mW")] == pytest.approx([15, 7, 0.9])


def test_a_scan_is_voxels_and_millimetres():
    assert quantities.scan("--scan", "512x512x400@0.8x0.8x1") == (XYZ(512, 512, 400), (0.8, 0.8, 1.0))
    assert quantities.scan("--scan", "64×64×32@5×5×5") == (XYZ(64, 64, 32), (5.0, 5.0, 5.0))


@pytest.mark.parametrize("text", ["3", "3 kg", "many", "9" * 400 + "GB"])
def test_no_size_is_refused(text):
    with pytest.raises(UsageError, match="--memory: expected a quantity like 3GB"):
        quantities.size("--memory", text)


@pytest.mark.parametrize(
    "text", ["", "512x512@1x1x1", "512x512x400", "axbxc@1x1x1", "5x5x5@1x1x1x1", "5" * 5000 + "x5x5@1x1x1"]
)
def test_no_scan_is_refused(text):
    with pytest.raises(UsageError, match="--scan: expected voxels and millimetres like 512x512x400@"):
        quantities.scan("--scan", text)
