"""The options of post-processing, and what is told of it."""

from __future__ import annotations

import json

import msgspec
import nibabel as nib
import numpy as np
import pytest
import typer
from bedside.cli.options.command import typer_function
from bedside.cli.segment import command as segment
from bedside.runtime import Bundle, Segmenter, UsageError, write_manifest
from bedside.runtime.labels.postprocess import Postprocessing
from typer.testing import CliRunner

app = typer.Typer()
app.command("segment")(typer_function(segment.Segment))


@pytest.fixture
def speckled(tmp_path):
    """A fat cube of 1000 voxels (27 ml) and a fat speck of 8 voxels (0.216 ml) in air."""
    hu = np.full((20, 20, 20), -1000, np.int16)
    hu[5:15, 5:15, 5:15] = 0
    hu[17:19, 17:19, 17:19] = 0
    nib.save(nib.Nifti1Image(hu, np.diag([3, 3, 3, 1])), tmp_path / "ct.nii.gz")
    return tmp_path / "ct.nii.gz"


def run(bundle, scan, *words):
    output = scan.with_name("labels.nii.gz")
    arguments = [bundle, "-i", scan, "-o", output, "--engine", "onnxruntime", "--threads", 1, *words]
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(done.exception, Exception):
        raise done.exception
    return done, int(np.count_nonzero(np.asarray(nib.load(output).dataobj)))


def with_default(bundle_path, settings):
    with Bundle.open(bundle_path) as bundle:
        manifest = bundle.manifest
    for name in ("bundle.json", "bundle.sha256"):
        (bundle_path / name).unlink()
    write_manifest(bundle_path, msgspec.structs.replace(manifest, postprocessing=settings))
    return bundle_path


def test_without_options_nothing_is_removed(bundle_path, speckled):
    done, voxels = run(bundle_path, speckled, "--json")
    assert voxels == 1008
    assert json.loads(done.stdout)["postprocessing"] == []


@pytest.mark.parametrize(
    "words", [("--largest-component", "fat"), ("--largest-component", "all"), ("--min-volume", "fat=1")]
)
def test_the_speck_goes_and_json_tells(bundle_path, speckled, words):
    done, voxels = run(bundle_path, speckled, *words, "--json")
    assert voxels == 1000
    entry = json.loads(done.stdout)["postprocessing"][0]
    assert (entry["label"], entry["components"], entry["voxels"], entry["ml"]) == ("fat", 1, 8, pytest.approx(0.216))


def test_people_are_told_what_was_removed(bundle_path, speckled):
    done, _ = run(bundle_path, speckled, "--min-volume", "fat=1")
    assert "post-processing removed 0.216 ml of fat in 1 component (min volume)" in done.stdout


def test_an_emptied_label_exits_with_6(bundle_path, speckled):
    done, voxels = run(bundle_path, speckled, "--min-volume", "fat=100")
    assert (done.exit_code, voxels) == (6, 0)
    assert "post-processing removed all of fat (27.2 ml)" in done.stderr


def test_the_bundles_own_post_processing_is_the_default(bundle_path, speckled):
    bundle = with_default(bundle_path, Postprocessing(largest_component="all"))
    assert run(bundle, speckled)[1] == 1000
    assert run(bundle, speckled, "--no-postprocessing")[1] == 1008
    assert run(bundle, speckled, "--min-volume", "fat=0.1")[1] == 1008  # an option replaces all of it


@pytest.mark.parametrize("z_step", [3, -3])  # read as the windows move; prepared whole
def test_labels_outside_the_body_go(toy, task, tmp_path, scan, z_step):
    # A network that calls air fat: what is outside the body's mask then goes, and the margin of two voxels stays.
    bundle = toy.write_bundle(tmp_path / "air.bedside", task, toy.nearest_mean_model(task.patch.dhw, (9.0, 0.0, 0.5)))
    nib.save(nib.Nifti1Image(np.asarray(nib.load(scan).dataobj), np.diag([3, 3, z_step, 1])), scan)
    with Segmenter.load(bundle, engine="onnxruntime", threads=1, self_test=False) as segmenter:
        whole = segmenter.segment(scan, skip_air=False).labels
        within = segmenter.segment(scan, skip_air=False, postprocessing=Postprocessing(within_body=True))
    assert whole.all()
    assert np.count_nonzero(within.labels) == 14**3
    assert within.labels[3:17, 3:17, 3:17].all()
    assert within.postprocessing[0].voxels == 20**3 - 14**3


@pytest.mark.parametrize("label", ["heart", "background"])
def test_a_label_of_another_task_is_a_usage_error(bundle_path, speckled, label):
    with pytest.raises(UsageError, match=f'expected labels of the task, got "{label}"; it has fat, bone'):
        run(bundle_path, speckled, "--largest-component", label)
