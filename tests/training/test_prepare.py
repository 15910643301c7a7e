import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.preprocessing.preprocess import to_model_input
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import read_labels, read_volume, write_volume
from bedside.training.dataset import Case
from bedside.training.prepare import PreparedCase, check_labels, data_hash, prepare_case, prepare_cases


def test_training_sees_exactly_what_the_device_would_see(prepared, small_dataset, small_task):
    device = to_model_input(read_volume(small_dataset.training[0].image), small_task).array
    assert np.array_equal(prepared[0].image(), device)


def test_counts_and_centres_are_those_of_the_cube(prepared):
    case = prepared[0]
    assert case.present == (1,)
    assert case.counts[1] == 12**3
    assert case.labels().reshape(-1)[case.centres(1)].min() == 1
    assert case.labels().reshape(-1)[case.centres(0)].max() == 0


def test_a_prepared_case_opens_again_and_is_not_prepared_twice(prepared, small_dataset, small_task):
    case = prepared[0]
    written = (case.folder / "image.npy").stat().st_mtime_ns
    again = prepare_cases(small_dataset.training, small_task, case.folder.parent)[0]
    assert again == PreparedCase.open(case.folder) == case
    assert (case.folder / "image.npy").stat().st_mtime_ns == written


def test_every_broken_case_is_named_with_its_reason(small_dataset, small_task, tmp_path):
    whole, other = small_dataset.training
    (tmp_path / "cut.nii.gz").write_bytes(whole.image.read_bytes()[:2000])
    broken = [Case("cut", tmp_path / "cut.nii.gz", whole.label), whole, Case("bare", other.image, None)]
    with pytest.raises(InputError, match=r'2 of 3 cases cannot be used: case "cut".*case "bare": expected a label map'):
        prepare_cases(broken, small_task, tmp_path / "cases")


def test_a_label_the_task_does_not_have_is_refused(small_dataset, small_task, tmp_path):
    case = small_dataset.training[0]
    shifted = Case("shifted", case.label, case.image)  # the image, in HU, in place of the label map
    with pytest.raises(InputError, match="shifted"):
        prepare_cases([shifted], small_task, tmp_path)


def test_data_set_and_task_must_mean_the_same_labels(small_dataset, small_task):
    check_labels(small_dataset, small_task)
    with pytest.raises(InputError, match='label 1 is "cube" in data set "cubes" but "sphere" in task'):
        check_labels(small_dataset, small_task.replaced(labels=("background", "sphere")))


def test_data_hash_changes_with_one_voxel_and_not_with_the_place(small_dataset, tmp_path):
    case = small_dataset.training[0]
    moved = Case(case.name, tmp_path / "a.nii.gz", tmp_path / "b.nii.gz")
    moved.image.write_bytes(case.image.read_bytes())
    moved.label.write_bytes(case.label.read_bytes())
    assert data_hash([moved]) == data_hash([case])
    moved.label.write_bytes(case.label.read_bytes() + b"\0")
    assert data_hash([moved]) != data_hash([case])


def test_image_and_label_may_differ_by_what_headers_round_away(small_dataset, small_task, tmp_path):
    case = small_dataset.training[0]
    labels = read_labels(case.label)
    for shift, accepted in ((0.001, True), (0.5, False)):
        affine = labels.grid.affine.copy()
        affine[0, 3] += shift
        moved = tmp_path / f"moved{accepted}.nii.gz"
        write_volume(moved, labels.data, Grid(labels.grid.shape, affine))
        if accepted:
            prepare_case(Case("near", case.image, moved), small_task, tmp_path / "near")
        else:
            with pytest.raises(InputError, match=r"0\.5 mm apart"):
                prepare_case(Case("far", case.image, moved), small_task, tmp_path / "far")


def test_what_the_device_would_flag_is_kept_with_the_case(small_dataset, small_task, tmp_path):
    case = small_dataset.training[0]
    scan = read_volume(case.image)
    write_volume(tmp_path / "offset.nii.gz", (scan.data + 1024).astype(np.int16), scan.grid)
    offset = prepare_case(Case("offset", tmp_path / "offset.nii.gz", case.label), small_task, tmp_path / "case")
    assert "CT without its offset" in offset.warnings[0]
    assert PreparedCase.open(offset.folder).warnings == offset.warnings
