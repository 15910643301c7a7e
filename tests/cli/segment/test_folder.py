"""A folder of scans: resumable, one table at the end, the exit code of the worst case."""

from __future__ import annotations

import json
import os

import nibabel as nib
import numpy as np
import pytest
import typer
from bedside.cli.options.command import typer_function
from bedside.cli.segment import command as segment
from bedside.runtime import BundleError, InputError, Segmenter, UsageError
from typer.testing import CliRunner

app = typer.Typer()
app.command("segment")(typer_function(segment.Segment))


def cube(size):
    """A fat cube of so many voxels along each edge, in air."""
    hu = np.full((20, 20, 20), -1000, np.int16)
    hu[5 : 5 + size, 5 : 5 + size, 5 : 5 + size] = 0
    return hu


def save(path, hu):
    nib.save(nib.Nifti1Image(hu, np.diag([3, 3, 3, 1])), path)


@pytest.fixture
def scans(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    save(folder / "a.nii.gz", cube(10))
    save(folder / "b.nii", cube(5))
    return folder


def run(bundle, scans, outputs, *words):
    arguments = [bundle, "-i", scans, "-o", outputs, "--engine", "onnxruntime", "--threads", 1, *words]
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(done.exception, Exception):
        raise done.exception
    return done


def fat(path):
    return int(np.count_nonzero(np.asarray(nib.load(path).dataobj)))


@pytest.fixture
def segmented(monkeypatch):
    """Names of the scans that were really segmented."""
    names = []
    real = Segmenter.segment

    def noted(self, scan, *arguments, **options):
        names.append(scan.name)
        return real(self, scan, *arguments, **options)

    monkeypatch.setattr(Segmenter, "segment", noted)
    return names


def test_every_scan_gets_a_label_map_of_its_name(bundle_path, scans, tmp_path):
    (scans / ".hidden.nii").write_text("no scan")
    (scans / "notes.txt").write_text("no scan")
    (scans / "more").mkdir()
    done = run(bundle_path, scans, tmp_path / "new" / "out")
    assert done.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == [
        "a.nii.gz",
        "b.nii.gz",
        "segment.json",
    ]
    assert fat(tmp_path / "new" / "out" / "a.nii.gz") == 1000
    assert fat(tmp_path / "new" / "out" / "b.nii.gz") == 125
    assert "2 scans: 2 have a label map, 0 have none" in done.stdout


def test_the_bundle_is_loaded_once(bundle_path, scans, tmp_path, monkeypatch):
    loads = []
    real = Segmenter.load
    monkeypatch.setattr(Segmenter, "load", lambda *words: loads.append(1) or real(*words))
    run(bundle_path, scans, tmp_path / "out")
    assert len(loads) == 1


def test_json_is_one_object_with_a_list_of_cases(bundle_path, scans, tmp_path):
    (scans / "c.nii.gz").write_bytes(b"no scan")
    done = run(bundle_path, scans, tmp_path / "out", "--json")
    said = json.loads(done.stdout)
    assert [case["name"] for case in said["cases"]] == ["a.nii.gz", "b.nii", "c.nii.gz"]
    assert [case["exit_code"] for case in said["cases"]] == [0, 0, 3]
    assert said["cases"][0]["volumes_ml"] == {"fat": 27.0, "bone": 0.0}
    assert said["exit_code"] == done.exit_code == 3


def test_a_scan_that_is_refused_does_not_stop_the_others(bundle_path, scans, tmp_path):
    (scans / "aa.nii.gz").write_bytes((scans / "a.nii.gz").read_bytes()[:-30])
    done = run(bundle_path, scans, tmp_path / "out")
    assert done.exit_code == 3
    assert "3 scans: 2 have a label map, 1 have none" in done.stdout
    assert fat(tmp_path / "out" / "b.nii.gz") == 125
    assert not (tmp_path / "out" / "aa.nii.gz").exists()


def test_called_again_only_the_rest_is_segmented(bundle_path, scans, tmp_path, segmented):
    run(bundle_path, scans, tmp_path / "out")
    save(scans / "c.nii.gz", cube(7))
    segmented.clear()
    done = run(bundle_path, scans, tmp_path / "out", "--json")
    assert segmented == ["c.nii.gz"]
    assert [case["skipped"] for case in json.loads(done.stdout)["cases"]] == [True, True, False]


def test_interrupted_it_goes_on_where_it_stopped(bundle_path, scans, tmp_path, segmented, monkeypatch):
    counting = Segmenter.segment

    def interrupted(self, scan, *arguments, **options):
        if scan.name == "b.nii":
            raise KeyboardInterrupt
        return counting(self, scan, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Segmenter, "segment", interrupted)
        run(bundle_path, scans, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.nii.gz", "segment.json"]
    run(bundle_path, scans, tmp_path / "out")
    assert segmented == ["a.nii.gz", "b.nii"]


def test_a_review_is_still_due_when_called_again(bundle_path, scans, tmp_path, segmented):
    save(scans / "c.nii.gz", cube(0) + np.eye(20, dtype=np.int16))  # air that is not a single value
    assert run(bundle_path, scans, tmp_path / "out").exit_code == 6
    segmented.clear()
    done = run(bundle_path, scans, tmp_path / "out")
    assert done.exit_code == 6
    assert segmented == []
    assert "the result is empty" in done.stdout


@pytest.mark.parametrize("which", ["label map damaged", "label map gone", "scan changed"])
def test_what_is_not_the_finished_file_any_more_is_made_again(bundle_path, scans, tmp_path, segmented, which):
    run(bundle_path, scans, tmp_path / "out")
    if which == "label map damaged":
        content = bytearray((tmp_path / "out" / "a.nii.gz").read_bytes())
        content[-5] ^= 1
        (tmp_path / "out" / "a.nii.gz").write_bytes(content)
    elif which == "label map gone":
        (tmp_path / "out" / "a.nii.gz").unlink()
    else:
        save(scans / "a.nii.gz", cube(8))
    segmented.clear()
    run(bundle_path, scans, tmp_path / "out")
    assert segmented == ["a.nii.gz"]
    assert fat(tmp_path / "out" / "a.nii.gz") == (512 if which == "scan changed" else 1000)


def test_force_makes_all_anew(bundle_path, scans, tmp_path, segmented):
    run(bundle_path, scans, tmp_path / "out")
    segmented.clear()
    run(bundle_path, scans, tmp_path / "out", "--force")
    assert segmented == ["a.nii.gz", "b.nii"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--precision", "int8"], "precision auto"),
        (["--overlap", "0.5"], "overlap None"),
        (["--largest-component", "all"], "postprocessing None"),
    ],
)
def test_label_maps_made_otherwise_are_not_mixed(bundle_path, scans, tmp_path, words, told):
    run(bundle_path, scans, tmp_path / "out")
    with pytest.raises(UsageError, match=told):
        run(bundle_path, scans, tmp_path / "out", *words)


def test_the_same_post_processing_is_recognised(bundle_path, scans, tmp_path, segmented):
    words = ("--largest-component", "fat", "--min-volume", "bone=2")
    run(bundle_path, scans, tmp_path / "out", *words)
    segmented.clear()
    run(bundle_path, scans, tmp_path / "out", *words)
    assert segmented == []


def test_another_bundle_is_not_mixed_in(toy, task, bundle_path, scans, tmp_path):
    run(bundle_path, scans, tmp_path / "out")
    other = toy.write_bundle(tmp_path / "other.bedside", task.replaced(anatomy="other"))
    with pytest.raises(UsageError, match="another bundle"):
        run(other, scans, tmp_path / "out")


def test_files_of_somebody_else_are_not_replaced(bundle_path, scans, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.nii.gz").write_bytes(b"truth drawn by hand")
    with pytest.raises(UsageError, match=r"1 files named like label maps to come are there, but no segment\.json"):
        run(bundle_path, scans, tmp_path / "out")
    assert (tmp_path / "out" / "a.nii.gz").read_bytes() == b"truth drawn by hand"
    assert list((tmp_path / "out").iterdir()) == [tmp_path / "out" / "a.nii.gz"]


def test_a_failure_says_that_an_older_label_map_is_there(bundle_path, scans, tmp_path):
    run(bundle_path, scans, tmp_path / "out")
    (scans / "b.nii").write_bytes(b"no scan")
    done = run(bundle_path, scans, tmp_path / "out", "--json")
    assert json.loads(done.stdout)["cases"][1]["error"].endswith("; an older label map is still there")


def test_a_journal_that_cannot_be_read_is_refused(bundle_path, scans, tmp_path):
    run(bundle_path, scans, tmp_path / "out")
    (tmp_path / "out" / "segment.json").write_text("{")
    with pytest.raises(InputError, match="--force begins anew"):
        run(bundle_path, scans, tmp_path / "out")
    assert run(bundle_path, scans, tmp_path / "out", "--force").exit_code == 0


def test_two_scans_of_one_name_are_refused_before_anything_is_done(scans, tmp_path):
    save(scans / "a.nii", cube(3))
    with pytest.raises(InputError, match=r'"a\.nii" and "a\.nii\.gz" would have the same label map'):
        run(tmp_path / "no.bedside", scans, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_of_dicom_files_is_refused_with_what_to_do(bundle_path, tmp_path):
    (tmp_path / "series").mkdir()
    (tmp_path / "series" / "IM1").write_bytes(bytes(128) + b"DICM" + bytes(100))
    with pytest.raises(
        InputError, match=r"files in this folder, got a folder of DICOM files; convert .* dcm2niix -z y"
    ):
        run(bundle_path, tmp_path / "series", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_scans_is_refused(bundle_path, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"expected \.nii or \.nii\.gz files in this folder, found none"):
        run(bundle_path, tmp_path / "empty", tmp_path / "out")


def test_a_broken_bundle_stops_all(bundle_path, scans, tmp_path):
    (bundle_path / "model.fp32.onnx").write_bytes(b"")
    with pytest.raises(BundleError):
        run(bundle_path, scans, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("output", "words", "message"),
    [
        ("scans", [], "-i and -o are the same folder"),
        ("labels.nii.gz", [], "-o must be one too"),
        ("file", [], "-o must be one too"),
        ("out", ["--record", "r.json"], "segment.json"),
    ],
)
def test_wrong_calls_are_refused_before_anything_is_loaded(scans, tmp_path, output, words, message):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=message):
        run(tmp_path / "no.bedside", scans, tmp_path / output, *words)


def test_workers_are_refused_with_one_scan(bundle_path, scans, tmp_path):
    with pytest.raises(UsageError, match="--workers goes with a folder"):
        run(bundle_path, scans / "a.nii.gz", tmp_path / "a.nii.gz", "--workers", "2")


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        ({}, 0),
        ({"a.nii.gz": RuntimeError("a slip"), "b.nii": MemoryError()}, 1),
        ({"a.nii.gz": InputError("bad"), "b.nii": MemoryError()}, 5),
        ({"a.nii.gz": OSError(28, "No space left on device")}, 5),
        ({"a.nii.gz": InputError("bad")}, 3),
    ],
)
def test_the_exit_code_is_the_worst(bundle_path, scans, tmp_path, monkeypatch, faults, code):
    real = Segmenter.segment

    def faulty(self, scan, *arguments, **options):
        if scan.name in faults:
            raise faults[scan.name]
        return real(self, scan, *arguments, **options)

    monkeypatch.setattr(Segmenter, "segment", faulty)
    done = run(bundle_path, scans, tmp_path / "out", "-q")
    assert done.exit_code == code
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == len(faults)


def test_what_is_wrong_for_every_scan_stops_all(bundle_path, scans, tmp_path, segmented):
    with pytest.raises(UsageError, match='got "heart"'):
        run(bundle_path, scans, tmp_path / "out", "--largest-component", "heart")
    assert segmented == ["a.nii.gz"]


def test_endings_in_upper_case_count(bundle_path, tmp_path):
    (tmp_path / "scans").mkdir()
    save(tmp_path / "b.nii.gz", cube(5))
    (tmp_path / "b.nii.gz").rename(tmp_path / "scans" / "B.NII.GZ")
    assert run(bundle_path, tmp_path / "scans", tmp_path / "out").exit_code == 0
    assert fat(tmp_path / "out" / "B.nii.gz") == 125


@pytest.fixture
def patients(tmp_path):
    """One folder for each patient, the second with a label map of its own; a folder without scans beside them."""
    for name, size in (("p1", 5), ("p2", 10)):
        (tmp_path / "patients" / name).mkdir(parents=True)
        save(tmp_path / "patients" / name / "ct.nii.gz", cube(size))
    save(tmp_path / "patients" / "p2" / "labels.nii.gz", np.ones((20, 20, 20), np.uint8))
    (tmp_path / "patients" / "notes").mkdir()
    return tmp_path / "patients"


def test_a_folder_for_each_patient_gives_label_maps_of_the_folders_names(bundle_path, patients, tmp_path, segmented):
    assert run(bundle_path, patients, tmp_path / "out").exit_code == 0
    assert (fat(tmp_path / "out" / "p1.nii.gz"), fat(tmp_path / "out" / "p2.nii.gz")) == (125, 1000)
    assert list(json.loads((tmp_path / "out" / "segment.json").read_text())["cases"]) == [
        "p1/ct.nii.gz",
        "p2/ct.nii.gz",
    ]
    assert segmented == ["ct.nii.gz", "ct.nii.gz"]  # the label map is not taken for a scan
    assert run(bundle_path, patients, tmp_path / "out").exit_code == 0
    assert len(segmented) == 2  # both are finished


def test_a_patients_folder_with_two_scans_is_refused_by_name(bundle_path, patients, tmp_path):
    save(patients / "p1" / "t2.nii.gz", cube(5))
    with pytest.raises(InputError, match=r'"p1": expected one scan in each patient\'s folder, got 2 \(ct.nii.gz, t2'):
        run(bundle_path, patients, tmp_path / "out")


def test_a_data_sets_folder_is_refused_with_the_folders_that_hold_scans(bundle_path, tmp_path):
    for name in ("imagesTr", "labelsTr"):
        (tmp_path / "data" / name).mkdir(parents=True)
        save(tmp_path / "data" / name / "a.nii.gz", cube(5))
    with pytest.raises(InputError, match="found none; give one of its folders: imagesTr, labelsTr"):
        run(bundle_path, tmp_path / "data", tmp_path / "out")


def test_a_name_that_is_no_utf_8_is_segmented_recorded_and_known_again(bundle_path, scans, tmp_path, segmented):
    save(scans / os.fsdecode(b"\xfc.nii.gz"), cube(4))  # as latin-1 systems write it
    assert run(bundle_path, scans, tmp_path / "out").exit_code == 0
    assert fat(tmp_path / "out" / os.fsdecode(b"\xfc.nii.gz")) == 64
    assert list(json.loads((tmp_path / "out" / "segment.json").read_text())["cases"]) == [
        r"\xfc.nii.gz", "a.nii.gz", "b.nii",
    ]  # fmt: skip
    del segmented[:]
    assert run(bundle_path, scans, tmp_path / "out").exit_code == 0
    assert segmented == []
