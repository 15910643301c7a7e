from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
import typer
from bedside.cli.options.command import typer_function
from bedside.cli.segment import command as segment
from typer.testing import CliRunner

app = typer.Typer()
app.command("segment")(typer_function(segment.Segment))


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_json_is_the_only_thing_on_stdout(bundle_path, scan, tmp_path):
    done = run(bundle_path, "-i", scan, "-o", tmp_path / "labels.nii.gz", "--threads", 1, "--json")
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    assert said["volumes_ml"] == {"fat": 27.0, "bone": 0.0}  # 1000 voxels of 27 mm³
    assert said["needs_review"] is False
    assert np.asarray(nib.load(tmp_path / "labels.nii.gz").dataobj).sum() == 1000


def test_people_see_volumes_and_windows(bundle_path, scan, tmp_path):
    done = run(bundle_path, "-i", scan, "-o", tmp_path / "labels.nii", "--engine", "onnxruntime", "--threads", 1)
    assert done.exit_code == 0
    assert "27.0" in done.stdout
    assert "onnxruntime fp32" in done.stdout


def test_quiet_says_nothing(bundle_path, scan, tmp_path):
    done = run(bundle_path, "-i", scan, "-o", tmp_path / "labels.nii.gz", "--threads", 1, "-q")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")


def test_a_result_to_review_is_written_and_exits_with_6(bundle_path, tmp_path):
    hu = np.full((20, 20, 20), -1000.0, np.float32)
    hu[5:15, 5:15, 5:15] = 0
    hu[0, 0, 0] = np.nan
    nib.save(nib.Nifti1Image(hu, np.diag([3, 3, 3, 1])), tmp_path / "ct.nii.gz")
    output = tmp_path / "labels.nii.gz"
    done = run(bundle_path, "-i", tmp_path / "ct.nii.gz", "-o", output, "--replace-nan", -1000, "--threads", 1, "-q")
    assert done.exit_code == 6
    assert "1 voxels that were NaN or Inf replaced by -1000" in done.stderr
    assert np.asarray(nib.load(output).dataobj).sum() == 1000


def textured_body(shape=(20, 20, 20)):
    """Muscle and fat in air, with the noise of a scanner."""
    hu = np.full(shape, -1000.0)
    hu[5:15, 5:15] = np.where(np.arange(shape[2]) % 4 < 2, 50.0, -100.0)
    return (hu + np.random.default_rng(0).normal(0, 12, shape)).astype(np.int16)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (lambda hu: hu, None),
        (lambda hu: hu + 1024, "intensities: expected CT in HU"),
        (lambda hu: (hu / 500).astype(np.float32), "intensities: expected CT in HU"),
        (lambda hu: hu[:, :, :2], "(z 6 mm of the patch's 24 mm)"),
    ],
)
def test_a_scan_that_is_not_the_tasks_is_segmented_with_one_warning(bundle_path, tmp_path, changed, expected):
    nib.save(nib.Nifti1Image(changed(textured_body()), np.diag([3, 3, 3, 1])), tmp_path / "ct.nii.gz")
    output = tmp_path / "labels.nii.gz"
    done = run(bundle_path, "-i", tmp_path / "ct.nii.gz", "-o", output, "--threads", 1, "-q")
    lines = [line for line in done.stderr.splitlines() if "result is empty" not in line and "no tissue" not in line]
    assert done.exit_code == (0 if expected is None else 6)
    assert len(lines) == (expected is not None)
    assert expected is None or expected in lines[0]
    assert output.is_file()
