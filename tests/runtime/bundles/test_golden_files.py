from __future__ import annotations

from bedside.runtime.bundles.golden_files import GOLDEN_FILES, Golden


def test_bundles_written_now_have_labels_and_older_ones_none():
    assert GOLDEN_FILES.files == ("golden_input.npy", "golden_output.npy", "golden_labels.npy")
    assert Golden().files == ("golden_input.npy", "golden_output.npy")
