"""One mask per organ becomes the label map that the task describes, or is refused by name."""

import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume
from bedside.runtime.task import Intensity, Modality, Task
from bedside.training.data.case_digest import CaseDigest
from bedside.training.data.dataset import Case, load_dataset
from bedside.training.data.dataset_check import check_dataset
from bedside.training.data.organ_masks import OrganMasks, read_truth

SHAPE = (8, 6, 4)
GRID = Grid(SHAPE, np.diag([2.0, 2.0, 2.0, 1.0]))
LABELS = ("background", "liver", "kidney right")


def toy_task(labels):
    return Task(
        name="toy",
        modality=Modality.CT,
        labels=labels,
        spacing=(2.0, 2.0, 2.0),
        patch=(8, 8, 8),
        intensity=Intensity(clip=(-200.0, 300.0), scale_to=(0.0, 1.0)),
    )


def mask(path, planes, value=1, grid=GRID):
    data = np.zeros(grid.shape, np.uint8)
    data[planes] = value
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(path, data, grid)
    return path


@pytest.fixture
def folder(tmp_path):
    """Liver in planes 0 and 1, right kidney in plane 4, and an aorta that is not the task's."""
    mask(tmp_path / "liver.nii.gz", slice(0, 2))
    mask(tmp_path / "kidney_right.nii.gz", slice(4, 5), value=255)
    mask(tmp_path / "aorta.nii.gz", slice(0, 8))
    return tmp_path


def chosen(folder, labels=LABELS):
    return OrganMasks.choose(sorted(folder.glob("*.nii.gz")), labels)


def test_masks_become_the_tasks_label_map_and_others_are_left_out(folder):
    assert read_truth(chosen(folder)).data[:, 0, 0].tolist() == [1, 1, 0, 0, 2, 0, 0, 0]


def test_masks_blurred_by_a_float_type_are_taken(folder):
    inside = read_truth(folder / "liver.nii.gz").data
    write_volume(folder / "liver.nii.gz", inside * np.float32(0.9999), GRID)
    assert read_truth(chosen(folder)).data[:, 0, 0].tolist() == [1, 1, 0, 0, 2, 0, 0, 0]


def test_the_order_of_the_labels_is_the_tasks(folder):
    labels = chosen(folder, ("background", "kidney right", "liver"))
    assert labels.read().data[:, 0, 0].tolist() == [2, 2, 0, 0, 1, 0, 0, 0]


def test_a_label_without_a_mask_is_named(folder):
    with pytest.raises(InputError, match=r"got none for spleen; .*give an empty mask to a scan that lacks the organ"):
        chosen(folder, (*LABELS, "spleen"))


def test_organs_that_overlap_are_refused_with_the_number_of_voxels(folder):
    mask(folder / "kidney_right.nii.gz", slice(1, 3))
    with pytest.raises(InputError, match=r'"liver.nii.gz" and "kidney_right.nii.gz" share 24 voxels'):  # 6 × 4
        chosen(folder).read()


def test_a_label_map_is_no_mask_of_one_organ(folder):
    labels = np.zeros(SHAPE, np.uint8)
    labels[0], labels[1] = 1, 2
    write_volume(folder / "liver.nii.gz", labels, GRID)
    with pytest.raises(InputError, match=r'"liver.nii.gz": expected the mask of one organ, got several labels up to 2'):
        chosen(folder).read()


def test_masks_on_different_grids_are_refused(folder):
    mask(folder / "kidney_right.nii.gz", slice(4, 5), grid=Grid(SHAPE, np.diag([2.0, 2.0, 3.0, 1.0])))
    with pytest.raises(InputError, match="are on different grids"):
        chosen(folder).read()


def test_patients_with_masks_are_a_data_set(folder, tmp_path_factory):
    root = tmp_path_factory.mktemp("patients")
    for patient in ("s0001", "s0002"):
        mask(root / patient / "ct.nii.gz", slice(0, 8))
        for file in folder.glob("*.nii.gz"):
            (root / patient / "segmentations").mkdir(exist_ok=True)
            (root / patient / "segmentations" / file.name).write_bytes(file.read_bytes())
    (root / "s0002" / "segmentations" / "liver.nii.gz").rename(root / "liver.nii.gz.away")
    with pytest.raises(InputError, match='1 broken: "s0002": expected one mask for each label, got none for liver'):
        load_dataset(root, labels=LABELS)
    (root / "liver.nii.gz.away").rename(root / "s0002" / "segmentations" / "liver.nii.gz")
    first, second = load_dataset(root, labels=LABELS).training
    assert (first.name, second.name) == ("s0001", "s0002")
    assert read_truth(first.label).data.max() == 2


def test_a_changed_mask_is_another_case(folder):
    case = Case("a", folder / "aorta.nii.gz", chosen(folder))
    before = CaseDigest.of(case)
    mask(folder / "kidney_right.nii.gz", slice(4, 6))
    assert CaseDigest.of(case).label != before.label
    with pytest.raises(InputError, match="its files changed while they were read"):
        before.check_unchanged(case)


def test_the_same_masks_for_other_labels_are_another_case(folder):
    other = chosen(folder, ("background", "kidney right", "liver"))
    digests = {CaseDigest.of(Case("a", folder / "aorta.nii.gz", labels)).label for labels in (chosen(folder), other)}
    assert len(digests) == 2


def test_check_reads_masks_as_training_would(folder):
    scan = np.full(SHAPE, -1000, np.int16)
    scan[2:6, 1:5] = 40
    (folder / "data" / "s1").mkdir(parents=True)
    write_volume(folder / "data" / "s1" / "ct.nii.gz", scan, GRID)
    (folder / "data" / "s1" / "segmentations").mkdir()
    for file in folder.glob("*.nii.gz"):
        file.rename(folder / "data" / "s1" / "segmentations" / file.name)
    task = toy_task(("background", "liver", "kidney_right"))
    (case,) = check_dataset(folder / "data", task).cases
    assert case.problems == ()
    # 6 × 4 voxels of 8 mm³ in a plane
    assert case.facts.volumes_ml == pytest.approx({1: 2 * 24 * 0.008, 2: 24 * 0.008})
