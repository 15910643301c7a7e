from dataclasses import replace

import numpy as np
import pytest
from bedside.training.phantoms.anatomy import Phase
from bedside.training.phantoms.patient import Patient, patient_frame, smooth_field
from bedside.training.phantoms.shapes import Coordinates

AXES = tuple(np.arange(-100, 101, 10, dtype=np.float32) for _ in range(3))
UPRIGHT = Patient((1, 1, 1), fat=20, rotation=(0, 0, 0), offset=(0, 0, 0), phase=Phase.NATIVE, noise=10)


def frame(rng, patient):
    scanner = Coordinates(*np.meshgrid(*AXES, indexing="ij"))
    return np.stack(patient_frame(rng, scanner, AXES, patient)), np.stack(scanner)


def test_drawn_patients_stay_within_what_the_anatomy_was_made_for():
    patients = [Patient.draw(np.random.default_rng(seed)) for seed in range(300)]
    assert all(0.87 <= size <= 1.13 for patient in patients for size in patient.scale)
    assert all(abs(angle) <= 7 for patient in patients for angle in patient.rotation)
    assert min(patient.fat for patient in patients) > 4
    assert {patient.phase for patient in patients} == set(Phase)
    assert len({patient.fat for patient in patients}) == 300


def test_the_same_seed_draws_the_same_patient():
    assert Patient.draw(np.random.default_rng(5)) == Patient.draw(np.random.default_rng(5))


def test_a_smooth_field_varies_by_one_and_little_from_voxel_to_voxel(rng):
    axes = tuple(np.arange(0, 1000, 10, dtype=np.float32) for _ in range(3))
    field = smooth_field(rng, axes, knot_mm=65)
    assert field.shape == (100, 100, 100)
    assert field.std() == pytest.approx(1, abs=0.2)
    assert abs(field.mean()) < 0.15
    assert np.diff(field, axis=0).std() < 0.3  # of noise it would be 1.4


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"offset": (12.0, -8.0, 0.0)}, lambda x, y, z: (x - 12, y + 8, z)),
        ({"scale": (1.1, 0.9, 1.0)}, lambda x, y, z: (x / 1.1, y / 0.9, z)),
        ({"rotation": (0.0, 0.0, 90.0)}, lambda x, y, z: (y, -x, z)),
    ],
)
def test_the_patients_frame_undoes_place_size_and_posture(changes, expected):
    plain, scanner = frame(np.random.default_rng(3), UPRIGHT)
    changed, _ = frame(np.random.default_rng(3), replace(UPRIGHT, **changes))
    moved = np.stack(expected(*scanner)) - scanner
    assert np.abs(changed - plain - moved).max() < 1e-3  # the same deformation, for z is the same


def test_the_deformation_moves_nothing_by_more_than_a_few_centimetres(rng):
    deformed, scanner = frame(rng, UPRIGHT)
    assert 1 < np.abs(deformed - scanner).max() < 40
