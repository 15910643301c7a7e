"""From a data set's folder through `segment` to `evaluate`, for every layout, with no file renamed by hand."""

import json

import numpy as np
import pytest
from bedside.cli.main import run
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume

SHAPE = (20, 20, 20)
GRID = Grid(SHAPE, np.diag([3.0, 3.0, 3.0, 1.0]))
LABELS = {"0": "background", "1": "fat", "2": "bone"}


def save(root, image, label, size):
    """A cube of fat in air and its label map, which the toy network finds exactly."""
    inside = (slice(5, 5 + size),) * 3
    hu, truth = np.full(SHAPE, -1000, np.int16), np.zeros(SHAPE, np.uint8)
    hu[inside], truth[inside] = 0, 1
    for name, data in ((image, hu), (label, truth)):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        # We write no upper-case endings, other tools do; the bytes are the same.
        write_volume(file.with_name("new.nii.gz"), data, GRID)
        file.with_name("new.nii.gz").rename(file)


def decathlon(root, v1=False):
    for name, size in (("la_000", 6), ("la_001", 8)):
        save(root, f"imagesTr/{name}{'_0000' if v1 else ''}.nii.gz", f"labelsTr/{name}.nii.gz", size)
    files = ({"image": f"./imagesTr/{n}.nii.gz", "label": f"./labelsTr/{n}.nii.gz"} for n in ("la_000", "la_001"))
    content = {"modality": {"0": "CT"}, "tensorImageSize": "3D", "labels": LABELS, "training": list(files), "test": []}
    (root / "dataset.json").write_text(json.dumps(content))


def nnunet_v1(root):
    decathlon(root, v1=True)


def nnunet_v2(root):
    for name, size in (("la_000", 6), ("la_001", 8)):
        save(root, f"imagesTr/{name}_0000.nii.gz", f"labelsTr/{name}.nii.gz", size)
    labels = {name: int(value) for value, name in LABELS.items()}
    (root / "dataset.json").write_text(
        json.dumps({"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz"})
    )


def folders(root):
    save(root, "imagesTr/a_0000.nii.gz", "labelsTr/a.nii.gz", 6)
    save(root, "imagesTr/b_0000.NII.GZ", "labelsTr/b.NII.GZ", 8)


def patients(root):
    save(root, "p1/ct.nii.gz", "p1/labels.nii.gz", 6)
    save(root, "p2/ct.nii.gz", "p2/labels.nii.gz", 8)


def masks(root):
    """TotalSegmentator's layout: one mask for each organ, also for one that the scan lacks."""
    patients(root)
    for patient in ("p1", "p2"):
        (root / patient / "segmentations").mkdir()
        (root / patient / "labels.nii.gz").rename(root / patient / "segmentations" / "fat.nii.gz")
        write_volume(root / patient / "segmentations" / "bone.nii.gz", np.zeros(SHAPE, np.uint8), GRID)


@pytest.mark.parametrize(
    ("layout", "scans"),
    [
        (decathlon, "imagesTr"),
        (nnunet_v1, "imagesTr"),
        (nnunet_v2, "imagesTr"),
        (folders, "imagesTr"),
        (patients, "."),
        (masks, "."),
    ],
)
def test_what_segment_writes_evaluate_pairs_with_the_data_set(tmp_path, bundle_path, capfd, layout, scans):
    root, out = tmp_path / "data", tmp_path / "out"
    layout(root)
    words = ["--engine", "onnxruntime", "--threads", "1", "-q"]
    assert run(["segment", str(bundle_path), "-i", str(root / scans), "-o", str(out), *words]) == 0
    capfd.readouterr()
    assert run(["evaluate", "-p", str(out), "-t", str(root), "--labels", "fat,bone", "--json", "-q"]) == 0
    scores = json.loads(capfd.readouterr().out)
    assert [case["scores"]["fat"]["truth_voxels"] for case in scores["cases"]] == [6**3, 8**3]
    assert scores["organs"]["fat"]["dice"] == 1


def test_the_list_that_was_predicted_is_scored_and_said_where_no_test_case_has_a_label_map(tmp_path, capfd):
    nnunet_v2(tmp_path)
    assert run(["evaluate", "-p", str(tmp_path / "labelsTr"), "-t", str(tmp_path)]) == 0
    assert "the test list has no label map: these are the cases of the training list" in capfd.readouterr().err


def test_predictions_of_another_list_than_the_one_asked_for_are_not_scored_but_named(tmp_path, capfd):
    nnunet_v2(tmp_path)
    save(tmp_path, "imagesTs/la_002_0000.nii.gz", "labelsTs/la_002.nii.gz", 4)
    assert run(["evaluate", "-p", str(tmp_path / "labelsTr"), "-t", str(tmp_path)]) == 3
    assert "the predictions fit --list training" in capfd.readouterr().err
