"""What a label map may replace: nothing else than a label map of bedside's, unless it is forced."""

import gzip
import os

import nibabel as nib
import numpy as np
import pytest
from bedside.cli.main import run as bedside
from bedside.cli.segment.output import check_output, is_damaged
from bedside.runtime import ResourceError, UsageError

VOXELS = gzip.compress(b"voxels", mtime=0)


@pytest.mark.parametrize("there", ["an earlier label map", "an empty file", "a scan that may go"])
def test_what_may_be_replaced_is_replaced(bundle_path, scan, tmp_path, there):
    output = tmp_path / "labels.nii.gz"
    words = [str(word) for word in ("segment", bundle_path, "-i", scan, "-o", output, "--threads", 1, "-q")]
    if there == "an earlier label map":
        assert bedside(words) == 0
        os.utime(output, (0, 0))
    elif there == "an empty file":
        output.touch()
    else:
        output.write_bytes(scan.read_bytes())
        words.append("--force")
    assert bedside(words) == 0
    assert np.asarray(nib.load(output).dataobj).sum() == 1000
    assert output.stat().st_mtime > 0


@pytest.mark.parametrize("content", [b"no image at all", b"\x1f\x8bno gzip", None])
def test_another_file_is_refused_and_may_be_forced(tmp_path, scan, content):
    output = tmp_path / "labels.nii.gz"
    output.write_bytes(scan.read_bytes() if content is None else content)
    with pytest.raises(UsageError, match=r'output "labels\.nii\.gz": expected nothing there, or an earlier label map'):
        check_output(output, force=False)
    check_output(output, force=True)


@pytest.mark.parametrize("name", ["labels.nii", "labels.nii.gz"])
def test_where_nothing_is_a_label_map_may_be_written(tmp_path, name):
    check_output(tmp_path / name, force=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "error"), [("labels.png", UsageError), ("none/labels.nii", ResourceError), (".nii.gz", UsageError)]
)
def test_a_name_that_no_label_map_can_have_is_refused_even_by_force(tmp_path, name, error):
    with pytest.raises(error):
        check_output(tmp_path / name, force=True)


@pytest.mark.parametrize(
    ("content", "damaged"),
    [(b"", True), (VOXELS, False), (VOXELS[:-1], True), (b"drawn by hand", False)],
)
def test_an_empty_file_and_broken_gzip_data_are_damaged(tmp_path, content, damaged):
    (tmp_path / "labels.nii.gz").write_bytes(content)
    assert is_damaged(tmp_path / "labels.nii.gz") is damaged
