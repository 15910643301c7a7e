from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime.errors import ResourceError, UsageError
from bedside.runtime.scans.nifti import read_labels, read_volume
from bedside.training.data.dataset import load_dataset
from bedside.training.phantoms.anatomy import LABELS, Phase
from bedside.training.phantoms.phantom import (
    ORIENTATIONS,
    Phantom,
    generate_phantom,
    training_cases,
    write_phantoms,
)

COARSE = (4.0, 4.0, 4.0)


def world_centre(phantom: Phantom, organ: str) -> np.ndarray:
    """Mean position of an organ in RAS millimetres."""
    voxels = np.argwhere(phantom.labels.data == LABELS.index(organ))
    affine = phantom.labels.grid.affine
    return affine[:3, :3] @ voxels.mean(axis=0) + affine[:3, 3]


def mean_hu(phantom: Phantom, organ: str) -> float:
    return float(phantom.image.data[phantom.labels.data == LABELS.index(organ)].mean())


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return generate_phantom(3, spacing=COARSE, orientation="RAS", phase=Phase.PORTAL_VENOUS)


def test_the_same_seed_gives_the_same_arrays_and_another_seed_others() -> None:
    first, second, other = (generate_phantom(seed, spacing=COARSE) for seed in (1, 1, 2))
    assert np.array_equal(first.image.data, second.image.data)
    assert np.array_equal(first.labels.data, second.labels.data)
    assert first.image.grid == second.image.grid
    assert first.image.data.shape != other.image.data.shape or not np.array_equal(first.image.data, other.image.data)


def test_every_organ_has_at_least_20_voxels_at_4_mm() -> None:
    for seed in range(5):
        case = generate_phantom(seed, spacing=COARSE)
        counts = dict(zip(LABELS, np.bincount(case.labels.data.ravel(), minlength=14), strict=True))
        if counts["gallbladder"] == 0:  # some patients have had theirs taken out
            del counts["gallbladder"]
        assert min(counts.values()) >= 20, (seed, counts)


@pytest.mark.parametrize("codes", ORIENTATIONS)
def test_the_liver_lies_on_the_patients_right_in_the_world_however_the_axes_are_stored(codes: str) -> None:
    case = generate_phantom(5, spacing=(6.0, 6.0, 6.0), orientation=codes)
    assert case.image.grid.axes == codes
    assert world_centre(case, "liver")[0] > world_centre(case, "aorta")[0] > world_centre(case, "spleen")[0]


def test_stored_axes_change_the_array_and_not_the_world() -> None:
    straight, turned = (generate_phantom(5, spacing=COARSE, orientation=codes) for codes in ("RAS", "PSR"))
    assert straight.image.data.shape != turned.image.data.shape
    for organ in ("liver", "kidney_left", "adrenal_gland_right"):
        assert np.allclose(world_centre(straight, organ), world_centre(turned, organ), atol=1e-6)


def test_organs_stand_to_each_other_as_in_the_body(phantom: Phantom) -> None:
    at = {name: world_centre(phantom, name) for name in LABELS[1:]}
    right, front, head = 0, 1, 2
    assert at["kidney_right"][right] > at["inferior_vena_cava"][right] > at["aorta"][right] > at["kidney_left"][right]
    assert at["stomach"][front] > at["spleen"][front]
    assert at["liver"][front] > at["kidney_right"][front]
    assert at["gallbladder"][head] < at["liver"][head]
    assert at["esophagus"][head] > at["liver"][head]
    assert at["adrenal_gland_left"][head] > at["kidney_left"][head]
    assert at["pancreas"][front] > at["aorta"][front]


def test_the_liver_lies_on_the_same_side_as_in_a_real_scan(phantom: Phantom, real_data: Path) -> None:
    labels = read_labels(real_data / "abdomen_label.nii.gz")

    def real_x(organ: str) -> float:
        voxels = np.argwhere(labels.data == LABELS.index(organ)).mean(axis=0)
        return float((labels.grid.affine[:3, :3] @ voxels + labels.grid.affine[:3, 3])[0])

    real = real_x("liver") - real_x("spleen")
    ours = world_centre(phantom, "liver")[0] - world_centre(phantom, "spleen")[0]
    assert real > 100
    assert ours > 100


def test_contrast_brightens_the_aorta_first_and_the_portal_vein_later() -> None:
    native, arterial, portal = (generate_phantom(8, spacing=COARSE, phase=phase) for phase in Phase)
    assert mean_hu(native, "aorta") < 70
    assert mean_hu(arterial, "aorta") > 180
    assert mean_hu(portal, "portal_vein_and_splenic_vein") > mean_hu(native, "portal_vein_and_splenic_vein") + 50
    assert mean_hu(portal, "liver") > mean_hu(native, "liver") + 25


def test_image_holds_air_lung_fat_soft_tissue_and_bone(phantom: Phantom) -> None:
    hu = phantom.image.data
    assert hu.dtype == np.int16
    assert np.median(hu[:3, -3:]) == pytest.approx(-1000, abs=15)
    for low, high in ((-900, -780), (-130, -80), (30, 70), (250, 600)):
        assert ((hu > low) & (hu < high)).mean() > 0.005, (low, high)


def test_intensity_alone_does_not_tell_the_spleen(phantom: Phantom) -> None:
    spleen = phantom.image.data[phantom.labels.data == LABELS.index("spleen")]
    low, high = np.percentile(spleen, (10, 90))
    alike = (phantom.image.data > low) & (phantom.image.data < high)
    assert (alike & (phantom.labels.data != LABELS.index("spleen"))).sum() > 3 * spleen.size


def test_spine_and_muscles_carry_no_label(phantom: Phantom) -> None:
    bone = phantom.image.data > 300
    assert bone.sum() > 1000
    assert (phantom.labels.data[bone] > 0).mean() < 0.01


def test_cases_differ_in_place_and_size() -> None:
    cases = [generate_phantom(seed, spacing=(6.0, 6.0, 6.0), orientation="RAS") for seed in range(8)]
    volumes = [(case.labels.data == LABELS.index("liver")).sum() for case in cases]
    lateral = [world_centre(case, "liver")[0] - world_centre(case, "aorta")[0] for case in cases]
    assert np.std(volumes) / np.mean(volumes) > 0.05
    assert np.std(lateral) > 3


def test_data_set_is_split_written_and_read_back(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    file = write_phantoms(tmp_path / "set", 3, 1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    dataset = load_dataset(file)
    assert dataset.labels == LABELS
    assert [len(cases) for cases in (dataset.training, dataset.validation, dataset.test)] == [1, 1, 1]
    case = dataset.test[0]
    assert case.label is not None
    assert read_volume(case.image).grid == read_labels(case.label).grid
    assert json.loads(file.read_text())["modality"] == {"0": "CT"}


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_phantoms(tmp_path / name, 1, 7)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 3
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


@pytest.fixture
def tiny_phantoms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Generates phantoms of so few voxels that a data set of them costs little."""
    tiny = partial(generate_phantom, spacing=(20.0, 20.0, 20.0))
    monkeypatch.setattr("bedside.training.phantoms.phantom.generate_phantom", tiny)


@pytest.mark.usefixtures("tiny_phantoms")
def test_of_few_labelled_phantoms_the_others_are_images_without_labels(tmp_path: Path) -> None:
    dataset = load_dataset(write_phantoms(tmp_path, 5, 1, labelled=1))
    assert [case.name for case in dataset.training] == ["phantom_000"]
    assert [case.name for case in dataset.unlabelled] == ["phantom_001", "phantom_002"]
    assert [len(dataset.validation), len(dataset.test)] == [1, 1]
    assert all(case.image.is_file() for case in dataset.unlabelled)
    assert sorted(path.name for path in (tmp_path / "labelsTr").iterdir()) == [
        "phantom_000.nii.gz", "phantom_003.nii.gz"
    ]  # fmt: skip


@pytest.mark.usefixtures("tiny_phantoms")
def test_labels_on_all_training_phantoms_give_the_same_files_as_without_the_option(tmp_path: Path) -> None:
    plain, given = write_phantoms(tmp_path / "a", 3, 7), write_phantoms(tmp_path / "b", 3, 7, labelled=1)
    assert plain.read_bytes() == given.read_bytes()
    assert "unlabeled" not in json.loads(plain.read_text())


@pytest.mark.parametrize("labelled", [0, -1, 4])
def test_labels_on_more_or_fewer_phantoms_than_can_have_them_are_refused(tmp_path: Path, labelled: int) -> None:
    assert training_cases(5) == 3
    with pytest.raises(UsageError, match=f"labels on 1 to 3 of 3 training cases, got {labelled}"):
        write_phantoms(tmp_path / "set", 5, 0, labelled=labelled)
    assert not (tmp_path / "set").exists()


def test_no_cases_and_unwritable_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least one case"):
        write_phantoms(tmp_path, 0, 0)
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot create"):
        write_phantoms(tmp_path / "file" / "set", 1, 0)
