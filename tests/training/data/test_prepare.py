import numpy as np
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.preprocessing.preprocess import to_model_input
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import read_labels, read_volume, write_volume
from bedside.training.data.case_cache import CaseCache
from bedside.training.data.case_digest import CaseDigest
from bedside.training.data.dataset import Case
from bedside.training.data.prepare import check_labels, prepare_cases, unusual_warning
from bedside.training.data.prepared_case import PreparedCase


def prepared_alone(case, task, folder):
    return CaseCache(folder).obtain(case, CaseDigest.of(case), task)


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
    assert again == PreparedCase.open(case.folder, "case0", small_dataset.training[0].image) == case
    assert (case.folder / "image.npy").stat().st_mtime_ns == written


def test_every_broken_case_is_named_with_its_reason(small_dataset, small_task, tmp_path):
    whole, other = small_dataset.training
    (tmp_path / "cut.nii.gz").write_bytes(whole.image.read_bytes()[:2000])
    broken = [Case("cut", tmp_path / "cut.nii.gz", whole.label), whole, Case("bare", other.image, None)]
    with pytest.raises(InputError, match=r'2 of 3 cases cannot be used: case "cut".*case "bare": expected a label map'):
        prepare_cases(broken, small_task, tmp_path / "cases")


def test_a_label_the_task_does_not_have_is_refused(small_dataset, small_task, tmp_path):
    case = small_dataset.training[0]
    labels = read_labels(case.label)
    labels.data[3, 4, 5] = 7  # one voxel, which the task's grid would lose
    write_volume(tmp_path / "seven.nii.gz", labels.data, labels.grid)
    task = small_task.replaced(spacing=(8.0, 8.0, 8.0))
    with pytest.raises(InputError, match=r'case "seven": "seven.nii.gz": expected labels 0…1, got 7'):
        prepare_cases([Case("seven", case.image, tmp_path / "seven.nii.gz")], task, tmp_path / "cases")


def test_data_set_and_task_must_mean_the_same_labels(small_dataset, small_task):
    check_labels(small_dataset, small_task)
    with pytest.raises(InputError, match='label 1 is "cube" in data set "cubes" but "sphere" in task'):
        check_labels(small_dataset, small_task.replaced(labels=("background", "sphere")))


def test_every_reason_against_a_case_is_given_at_once(small_dataset, small_task, tmp_path):
    case = small_dataset.training[0]
    scan, truth = read_volume(case.image), read_labels(case.label)
    image = scan.data.astype(np.float32)
    image[0, 0, 0] = np.nan
    write_volume(tmp_path / "nan.nii.gz", image, scan.grid)
    write_volume(tmp_path / "nine.nii.gz", truth.data * 9, truth.grid)
    with pytest.raises(InputError, match=r"got NaN or Inf in plane 1 of 36.*; .*expected labels 0…1, got 9"):
        prepared_alone(Case("both", tmp_path / "nan.nii.gz", tmp_path / "nine.nii.gz"), small_task, tmp_path / "case")
    assert not [path for path in (tmp_path / "case").iterdir() if path.is_dir()]


def test_several_workers_give_the_cases_in_the_order_asked_for(prepared, small_dataset, small_task, tmp_path):
    cases = [*small_dataset.training, *small_dataset.validation]
    seen = []
    several = prepare_cases(cases, small_task, tmp_path / "c", lambda *at: seen.append(at), workers=3)
    assert [case.name for case in several] == ["case0", "case1", "case2"]
    assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
    for one, other in zip(prepared, several, strict=False):
        assert one.folder.name == other.folder.name
        for file in ("image.npy", "labels.npy", "centres.npy", "case.json"):
            assert (one.folder / file).read_bytes() == (other.folder / file).read_bytes()


def test_counts_are_those_of_the_label_map(small_dataset, small_task, tmp_path):
    case = small_dataset.training[0]
    prepared = prepared_alone(case, small_task, tmp_path / "case")
    values, counts = np.unique(prepared.labels(), return_counts=True)
    assert prepared.counts == dict(zip(values.tolist(), counts.tolist(), strict=True))
    assert prepared.centres(5).size == 0


def test_image_and_label_may_differ_by_what_headers_round_away(small_dataset, small_task, tmp_path):
    case = small_dataset.training[0]
    labels = read_labels(case.label)
    for shift, accepted in ((0.001, True), (0.5, False)):
        affine = labels.grid.affine.copy()
        affine[0, 3] += shift
        moved = tmp_path / f"moved{accepted}.nii.gz"
        write_volume(moved, labels.data, Grid(labels.grid.shape, affine))
        if accepted:
            prepared_alone(Case("near", case.image, moved), small_task, tmp_path / "near")
        else:
            with pytest.raises(InputError, match=r"0\.5 mm apart"):
                prepared_alone(Case("far", case.image, moved), small_task, tmp_path / "far")


def test_what_the_device_would_flag_is_kept_with_the_case(small_dataset, small_task, tmp_path):
    case = small_dataset.training[0]
    scan = read_volume(case.image)
    write_volume(tmp_path / "offset.nii.gz", (scan.data + 1024).astype(np.int16), scan.grid)
    offset = prepared_alone(Case("offset", tmp_path / "offset.nii.gz", case.label), small_task, tmp_path / "case")
    assert "CT without its offset" in offset.warnings[0]
    assert PreparedCase.open(offset.folder).warnings == offset.warnings


def test_a_case_with_a_gantry_tilt_is_prepared_on_a_straight_grid_image_and_labels_alike(small_task, tmp_path):
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    affine[1:3, 1] = 4 * np.cos(np.radians(20)), 4 * np.sin(np.radians(20))
    grid = Grid((40, 44, 30), affine)
    labels = np.zeros(grid.shape, np.uint8)
    labels[12:24, 14:26, 10:22] = 1
    write_volume(tmp_path / "ct.nii", np.where(labels, 200, 40).astype(np.int16), grid)
    write_volume(tmp_path / "label.nii", labels, grid)
    case = prepare_cases([Case("tilted", tmp_path / "ct.nii", tmp_path / "label.nii")], small_task, tmp_path / "cases")[
        0
    ]
    assert case.spacing == pytest.approx((4, 4, 4))
    assert case.counts[1] == pytest.approx(12**3 * np.cos(np.radians(20)), rel=0.03)  # a sheared voxel holds less
    bright = case.image() > (120 + 200) / 500
    assert (bright == (case.labels() == 1)).mean() > 0.99
    assert np.array_equal(case.image(), to_model_input(read_volume(tmp_path / "ct.nii"), small_task).array)


def test_unusual_scans_get_one_warning_with_their_number():
    assert unusual_warning([(), ()], "scans") is None
    assert unusual_warning([(), ("odd",), ("odd", "thin")], "scans") == "2 of 3 scans are unusual, such as: odd"
