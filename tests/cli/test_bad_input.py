"""The mistakes of every day: one line on stderr, the documented exit code, nothing half-written."""

import gzip
import os
import struct

import nibabel as nib
import numpy as np
import pytest
from bedside.cli.main import run


@pytest.fixture
def refused(capfd, tmp_path):
    """Runs a command line that must fail; returns its one line of stderr and checks that no output is left."""

    def check(*words, code):
        output = tmp_path / "out" / "labels.nii.gz"
        output.parent.mkdir(exist_ok=True)
        before = sorted(output.parent.iterdir())
        assert run([*map(str, words), "-q"]) == code
        captured = capfd.readouterr()
        assert captured.out == ""
        lines = captured.err.strip().splitlines()
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("bedside: error: ")
        assert "Traceback" not in captured.err
        assert sorted(output.parent.iterdir()) == before
        return lines[0]

    return check


def segment(bundle, image, tmp_path):
    return "segment", bundle, "-i", image, "-o", tmp_path / "out" / "labels.nii.gz", "--threads", 1


def save(path, data, affine=None):
    nib.save(nib.Nifti1Image(data, np.diag([3, 3, 3, 1]) if affine is None else affine), path)
    return path


def test_missing_scan(refused, bundle_path, tmp_path):
    line = refused(*segment(bundle_path, tmp_path / "no.nii.gz", tmp_path), code=3)
    assert "no.nii.gz" in line


@pytest.mark.parametrize("options", [(), ("--workers", 2)])
def test_missing_folder_is_named_rather_than_the_output(refused, bundle_path, tmp_path, options):
    words = ("segment", bundle_path, "-i", tmp_path / "gone", "-o", tmp_path / "labels", *options)
    assert '"gone": file or folder not found' in refused(*words, code=3)


def test_the_folder_at_hand_has_its_name_in_messages(refused, bundle_path, scan, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = refused("segment", bundle_path, "-i", scan, "-o", ".", code=2)
    assert f'output "{tmp_path.name}": expected a name ending in .nii or .nii.gz, got a folder' in line
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert '"empty": expected .nii or' in refused("segment", bundle_path, "-i", ".", "-o", tmp_path / "out", code=3)


@pytest.mark.parametrize("command", ["inspect", "benchmark", "serve"])
def test_a_scan_in_place_of_a_bundle(refused, scan, command):
    line = refused(command, scan, code=4)
    assert '"ct.nii.gz": expected a bundle, got a NIfTI file; give the folder or .zip that bedside export' in line


def test_scan_that_is_no_nifti(refused, bundle_path, tmp_path):
    (tmp_path / "text.nii").write_text("this is not an image\n" * 40)
    refused(*segment(bundle_path, tmp_path / "text.nii", tmp_path), code=3)


def test_4d_scan_without_a_choice_says_how_to_choose(refused, bundle_path, tmp_path):
    scan = save(tmp_path / "4d.nii.gz", np.zeros((8, 8, 8, 3), np.int16))
    assert "--volume" in refused(*segment(bundle_path, scan, tmp_path), code=3)


def test_nan(refused, bundle_path, tmp_path):
    data = np.zeros((8, 8, 8), np.float32)
    data[1, 2, 3] = np.nan
    assert "NaN" in refused(*segment(bundle_path, save(tmp_path / "nan.nii.gz", data), tmp_path), code=3)


def test_zero_spacing(refused, bundle_path, tmp_path):
    header = bytearray(gzip.decompress(save(tmp_path / "flat.nii.gz", np.ones((8, 8, 8), np.int16)).read_bytes()))
    header[88:92] = struct.pack("<f", 0.0)  # pixdim[3]
    header[280 + 32 : 280 + 48] = struct.pack("<4f", 0, 0, 0, 0)  # srow_z
    (tmp_path / "flat.nii").write_bytes(header)
    refused(*segment(bundle_path, tmp_path / "flat.nii", tmp_path), code=3)


def test_truncated_gzip(refused, bundle_path, scan, tmp_path):
    scan.write_bytes(scan.read_bytes()[:-40])
    refused(*segment(bundle_path, scan, tmp_path), code=3)


@pytest.mark.parametrize("name", ["model.fp32.onnx", "bundle.json", "golden_input.npy", "README.md"])
def test_flipped_byte_in_a_bundle_file(refused, bundle_path, scan, tmp_path, name):
    content = bytearray((bundle_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle_path / name).write_bytes(content)
    assert name in refused(*segment(bundle_path, scan, tmp_path), code=4)


def test_missing_bundle(refused, scan, tmp_path):
    refused(*segment(tmp_path / "no.bedside", scan, tmp_path), code=4)


def test_output_folder_that_is_not_there(refused, bundle_path, scan, tmp_path):
    output = tmp_path / "nowhere" / "labels.nii.gz"
    refused("segment", bundle_path, "-i", scan, "-o", output, "--threads", 1, code=5)
    assert not output.parent.exists()


def test_output_folder_that_cannot_be_written(refused, bundle_path, scan):
    # /proc refuses new files to everybody, root included.
    refused("segment", bundle_path, "-i", scan, "-o", "/proc/labels.nii.gz", "--threads", 1, code=5)


def test_an_output_that_cannot_be_written_is_refused_before_the_work(refused, bundle_path, scan, tmp_path, monkeypatch):
    monkeypatch.setattr("bedside.cli.segment.job.SegmentJob.load", lambda job: pytest.fail("the bundle was loaded"))
    words = ("segment", bundle_path, "-i", scan, "-o")
    refused(*words, tmp_path / "nowhere" / "labels.nii.gz", code=5)
    refused(*words, tmp_path / "out" / "labels.nii.gz", "--record", tmp_path / "nowhere" / "record.json", code=5)
    refused(*words, tmp_path / "out" / "labels.nii.gz", "--record", tmp_path / "record.nii.gz", code=2)


def test_scan_and_output_the_wrong_way_round_leave_the_scan(refused, bundle_path, scan, tmp_path):
    labels = save(tmp_path / "labels.nii.gz", np.zeros((20, 20, 20), np.uint8))
    before = scan.read_bytes()
    line = refused("segment", bundle_path, "-i", labels, "-o", scan, code=2)
    assert "are -i and -o the right way round?" in line
    assert scan.read_bytes() == before


@pytest.mark.parametrize(("first", "second"), [("ct.nii.gz", "toy.bedside"), ("ct.nii.gz", "ct.nii.gz")])
def test_bundle_and_scan_the_wrong_way_round(refused, bundle_path, scan, tmp_path, first, second):
    line = refused("segment", tmp_path / first, "-i", tmp_path / second, "-o", tmp_path / "out" / "l.nii.gz", code=2)
    assert f'got "{first}" first and "{second}" after -i' in line


def test_scores_that_cannot_be_written_are_refused_before_the_work(refused, scan, tmp_path):
    for folder in ("t", "p"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.nii.gz").write_bytes(b"never read")
    (tmp_path / "scores.csv").write_text("of another model")
    words = ("evaluate", "-p", tmp_path / "p", "-t", tmp_path / "t", "--csv")
    refused(*words, tmp_path / "nowhere" / "scores.csv", code=5)
    refused(*words, tmp_path / "t" / "a.nii.gz", code=2)
    refused(*words, tmp_path / "scores.csv", "--compare", tmp_path / "scores.csv", code=2)
    refused(*words, tmp_path / "scores.csv", "--labels", "liver", code=2)
    assert (tmp_path / "t" / "a.nii.gz").read_bytes() == b"never read"
    assert (tmp_path / "scores.csv").read_text() == "of another model"


def test_inspecting_a_data_set_says_what_looks_at_one(refused, tmp_path):
    assert "bedside dataset check" in refused("inspect", dataset(tmp_path).parent, code=3)


def test_full_disk_leaves_nothing(refused, bundle_path, scan, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    assert "No space left" in refused(*segment(bundle_path, scan, tmp_path), code=5)


def dataset(tmp_path, **entry):
    import json

    content = {"name": "bad", "labels": {"0": "background", "1": "liver"}, "training": [entry]}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    return tmp_path / "dataset.json"


def test_data_set_entry_without_its_file_is_named(refused, scan, tmp_path):
    source = dataset(tmp_path, image="ct.nii.gz", label="gone.nii.gz")
    line = refused("train-teacher", source, "--task", "btcv", "-o", tmp_path / "out" / "run", code=3)
    assert "ct" in line
    assert "gone.nii.gz" in line


def test_data_set_with_other_labels_than_the_task(refused, scan, tmp_path):
    save(tmp_path / "label.nii.gz", np.zeros((20, 20, 20), np.uint8))
    source = dataset(tmp_path, image="ct.nii.gz", label="label.nii.gz")
    words = ("train-teacher", source, "--task", "btcv", "--sam", "vit_nano", "-o", tmp_path / "out" / "run")
    assert '"liver"' in refused(*words, code=3)


@pytest.mark.parametrize(
    "words",
    [
        ("segmnt",),
        ("segment",),
        ("segment", "x.bedside", "-i", "a.nii.gz", "-o", "b.nii.gz", "--threads", "many"),
        ("train-teacher", "data", "--task", "nonsense", "-o", "run"),
        ("distill", "data", "--lambda", "2", "-o", "run"),
        ("phantom",),
        ("segment", "x.bedside", "-i", "a.nii.gz", "-o", "b.nii.gz", "--threads", "-2"),
        ("segment", "x.bedside", "-i", "a.nii.gz", "-o", "b.nii.gz", "--threads", "100000"),
        ("segment", "x.bedside", "-i", "a.nii.gz", "-o", "b.nii.gz", "--memory-limit", "-5"),
        ("segment", "x.bedside", "-i", "a.nii.gz", "-o", "b.nii.gz", "--volume", "-1"),
        ("evaluate", "-p", "p", "-t", "t", "--workers", "0"),
    ],
    ids=" ".join,
)
def test_wrong_calls_are_usage_errors(refused, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(*words, code=2)


def test_export_of_a_folder_that_is_no_run(refused, tmp_path):
    line = refused("export", tmp_path, "-o", tmp_path / "out" / "b.bedside", "--calibration", tmp_path, code=3)
    assert "not a run directory" in line


def test_training_into_a_path_that_cannot_be_written(refused, scan, tmp_path):
    save(tmp_path / "label.nii.gz", np.zeros((20, 20, 20), np.uint8))
    source = dataset(tmp_path, image="ct.nii.gz", label="label.nii.gz")
    task = tmp_path / "task.toml"
    task.write_text(
        'name = "liver"\nmodality = "CT"\nlabels = ["background", "liver"]\nspacing = [3.0, 3.0, 3.0]\n'
        "patch = [64, 64, 32]\n[intensity]\nclip = [-100.0, 200.0]\nscale_to = [0.0, 1.0]\n"
    )
    words = ("train-teacher", source, "--task", task, "--sam", "vit_nano", "--device", "cpu", "-o", scan / "run")
    refused(*words, code=5)
