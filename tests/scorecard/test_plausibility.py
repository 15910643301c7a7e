"""Units and modalities that are not the task's are noticed, and no real CT or MR is suspected of being another."""

import numpy as np
import pytest
from bedside.runtime import Task, read_volume
from bedside.runtime.preprocessing.plausibility import value_warnings
from bedside.runtime.scans.intensity_sample import IntensitySample
from bedside.runtime.task_presets import PRESETS
from bedside.training.phantoms.phantom import generate_phantom

CT, MR = PRESETS["btcv"], PRESETS["amos-mr"]
SINGLE_FILES = (
    "abdomen_ct.nii.gz", "torso_ct.nii.gz", "aorta_ct.nii.gz", "abdomen2/s0009_ct.nii.gz",
    "spine_pir/sub-ct_label-22_ct.nii.gz",
)  # fmt: skip


def rescaled(hu, low, high, to):
    return to * (np.clip(hu.astype(np.float32), low, high) - low) / (high - low)


def outside_padded(hu, padding):
    """The scan with what is outside the scanner's round field of view set to a number."""
    padded = hu.copy()
    x, y = np.indices(hu.shape[:2])
    half_x, half_y = hu.shape[0] / 2, hu.shape[1] / 2
    padded[((x - half_x) / half_x) ** 2 + ((y - half_y) / half_y) ** 2 > 1] = padding
    return padded


def stored(hu):
    return np.maximum(hu.astype(np.int32) + 1024, 0).astype(np.int16)


UNITS = {
    "offset 1024": stored,
    "offset 1000": lambda hu: hu + np.int16(1000),
    "offset, padding -2000": lambda hu: outside_padded(stored(hu), -2000),
    "offset, padding -3024": lambda hu: outside_padded(stored(hu), -3024),
    "offset, padding 0": lambda hu: outside_padded(stored(hu), 0),
    "z-scores": lambda hu: ((hu - hu.mean()) / hu.std()).astype(np.float32),
    "-1 to 1": lambda hu: rescaled(hu, hu.min(), hu.max(), 2) - 1,
    "0 to 1": lambda hu: rescaled(hu, -160, 240, 1),
    "0 to 255, narrow": lambda hu: rescaled(hu, -160, 240, 255).astype(np.uint8),
    "0 to 255, wide": lambda hu: rescaled(hu, -1000, 1000, 255).astype(np.uint8),
    "times 10": lambda hu: hu.astype(np.int32) * 10,
    "wrapped around": lambda hu: hu.astype(np.int16).astype(np.uint16),
    "inverted": lambda hu: -hu.astype(np.int32),
}
IN_CROPS = tuple(name for name in UNITS if name not in ("0 to 255, wide", "inverted", "wrapped around"))


def suspicion(values, task: Task) -> str:
    lines = value_warnings(IntensitySample.of(values), float(values.min()), float(values.max()), task)
    return next((line for line in lines if line.startswith("intensities: ")), "")


def suspected(values, task: Task) -> bool:
    return bool(suspicion(values, task))


def taken_for_labels(values) -> bool:
    return any("label map" in suspicion(values, task) for task in (CT, MR))


def crop(values, rng, low=32, high=96):
    """A crop of 32 to 96 voxels along each axis, where the scan has so many."""
    sizes = [min(size, int(rng.integers(low, high + 1))) for size in values.shape]
    starts = [int(rng.integers(0, size - length + 1)) for size, length in zip(values.shape, sizes, strict=True)]
    return values[tuple(slice(start, start + length) for start, length in zip(starts, sizes, strict=True))]


@pytest.fixture(scope="module")
def real_ct(real_data):
    return [*sorted((real_data / "headneck" / "images").iterdir()), *(real_data / name for name in SINGLE_FILES)]


@pytest.fixture(scope="module")
def real_mr(real_data):
    return [*sorted((real_data / "hippocampus" / "images").iterdir()), *(real_data / "spine_pir").glob("*T2w.nii.gz")]


@pytest.fixture(scope="module")
def real_labels(real_data):
    folders = (real_data / name / "labels" for name in ("headneck", "hippocampus"))
    others = ("*_label.nii.gz", "dicom/*_label.nii.gz", "abdomen2/*_label_*", "spine_pir/*_msk.nii.gz")
    return [*(path for folder in folders for path in sorted(folder.iterdir())),
            *(path for pattern in others for path in sorted(real_data.glob(pattern)))]  # fmt: skip


def chosen(files, number, rng):
    return [files[index] for index in sorted(rng.permutation(len(files))[:number])]


def test_26_no_real_ct_and_no_crop_of_one_is_suspected(real_ct, trials, count):
    rng = np.random.default_rng(26)
    scans = chosen(real_ct, trials(len(real_ct)), rng)
    crops_each = -(-trials(1000) // len(scans))
    for path in scans:
        hu = read_volume(path).data
        assert not suspected(hu, CT), path.name
        count["scans"] += 1
        for _ in range(crops_each):
            part = crop(hu, rng)
            if part.min() == part.max():  # outside the patient; refused elsewhere
                continue
            assert not suspected(part, CT), (path.name, part.shape)
            count["crops"] += 1


def test_26_no_real_mr_is_suspected_by_an_mr_task_and_every_one_by_a_ct_task(real_mr, trials, count):
    for path in chosen(real_mr, trials(len(real_mr)), np.random.default_rng(26)):
        values = read_volume(path).data.astype(np.float32)
        with_negative = values.copy()
        with_negative[2, 3, 4] = -1024
        assert not suspected(values, MR), path.name
        assert not suspected(with_negative, MR), path.name
        assert suspected(values, CT), path.name
        assert suspected(with_negative, CT), path.name
        count["scans"] += 1


def test_26_real_ct_in_another_unit_or_given_to_an_mr_task_is_noticed(real_ct, trials, count):
    rng = np.random.default_rng(62)
    whole = [path for path in real_ct if "aorta" not in path.name and "label-22" not in path.name]  # these are crops
    for number, path in enumerate(chosen(whole, trials(len(whole)), rng)):
        hu = read_volume(path).data
        name = list(UNITS)[number % len(UNITS)]
        assert suspected(UNITS[name](hu), CT), (path.name, name)
        assert suspected(hu, MR), path.name
        count["units"] += 1
        count["CT for an MR task"] += 1


def test_26_every_real_label_map_given_as_a_scan_is_called_so(real_labels, trials, count):
    for path in chosen(real_labels, trials(len(real_labels)), np.random.default_rng(26)):
        labels = read_volume(path).data
        for task in (CT, MR):
            assert "this looks like a label map" in suspicion(labels, task), (path.name, task.name)
        count["label maps"] += 1


def test_26_no_real_scan_of_8_bits_and_no_crop_of_one_is_called_a_label_map(real_ct, real_mr, trials, count):
    rng = np.random.default_rng(8)
    files = [*real_ct, *real_mr]
    for path in chosen(files, trials(len(files)), rng):
        values = read_volume(path).data
        low, high = (-160, 240) if path in real_ct else np.percentile(values, (0, 99.5))
        grey = rescaled(values, low, high, 255).astype(np.uint8)
        for part in (grey, crop(grey, rng), crop(grey, rng)):
            if np.mean((part > 0) & (part < 255)) > 0.05:  # a crop of the padding has fewer grey values
                assert not taken_for_labels(part), (path.name, part.shape)
                count["scans and crops of 8 bits"] += 1
        assert not taken_for_labels(values), path.name


def test_26_phantoms_and_crops_of_them_are_judged_right_in_every_unit(trials, count):
    rng = np.random.default_rng(26)
    for seed in range(trials(20)):
        hu = generate_phantom(seed, spacing=(4.0, 4.0, 4.0)).image.data
        assert not suspected(hu, CT)
        assert suspected(hu, MR)
        for _ in range(5):
            assert not suspected(crop(hu, rng), CT)
            count["crops"] += 1
        for name, changed in UNITS.items():
            assert suspected(changed(hu), CT), name
            count["units"] += 1
        for name in IN_CROPS:
            assert suspected(crop(UNITS[name](hu), rng, 48), CT), name
            count["units of crops"] += 1
