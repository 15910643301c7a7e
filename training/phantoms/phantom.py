"""Generates CT-like phantoms of the upper abdomen with the 13 BTCV organs: free, reproducible test data.

They show that the pipeline works; a score on them says nothing about clinical use.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from ...runtime.errors import MissingExtraError, ResourceError, UsageError
from ...runtime.files.atomic import atomic_write
from ...runtime.hooks import Progress
from ...runtime.scans.geometry import Grid
from ...runtime.scans.nifti import write_volume
from ...runtime.scans.volume import Volume
from . import anatomy, trunk
from .anatomy import Part, Phase
from .canvas import Canvas
from .patient import Patient, patient_frame, smooth_field
from .shapes import Coordinates, Ellipsoid, Point, Tube
from .trunk import Trunk

ORIENTATIONS = ("RAS", "LPS", "LAS", "PSR", "RPI", "ASL", "LPI")
_LUNG, _COUCH_SKIN, _COUCH_FOAM = -840.0, 60.0, -930.0
_MARGIN_MM = 12.0


@dataclass(frozen=True)
class Phantom:
    """A generated case.

    Attributes:
        image: int16 HU on the stored axes.
        labels: uint8, indices into ``presets.PRESETS["btcv"].labels``, on the same grid.
        patient: properties of the patient.
    """

    image: Volume
    labels: Volume
    patient: Patient


def _paint_trunk(canvas: Canvas, layers: Trunk) -> None:
    phase, tone = canvas.patient.phase, canvas.tone
    muscle = anatomy.MUSCLE[phase] + tone()
    canvas.fill(layers.skin, 25.0)
    canvas.fill(layers.skin + 2.5, anatomy.FAT[phase] + tone())
    marbling = 12 * canvas.mottle
    canvas.fill(layers.muscle, muscle + marbling)
    canvas.fill(np.abs(layers.muscle + 7) - 0.7, -40.0)  # fat between the layers of the wall
    canvas.fill(layers.cavity, anatomy.FAT[phase] + 6 * canvas.mottle)
    rib = trunk.ribs(canvas.at, layers.cavity)
    cartilage = canvas.at.y > 105
    canvas.fill(rib, np.where(cartilage, np.float32(110), np.float32(anatomy.CORTICAL_BONE)))
    canvas.fill(rib + 2.5, np.where(cartilage, np.float32(100), np.float32(anatomy.SPONGY_BONE)))
    canvas.fill(layers.lungs - 3, muscle)  # diaphragm
    canvas.fill(layers.lungs, _LUNG + tone() + 35 * canvas.mottle)
    canvas.fill(layers.heart, muscle + (0, 25, 40)[phase])
    canvas.fill(layers.heart + 10, (40, 220, 150)[phase] + tone())


def _paint_spine(canvas: Canvas) -> None:
    """Paints the spine and its muscles over the viscera, and removes the labels underneath."""
    at, phase, tone = canvas.at, canvas.patient.phase, canvas.tone
    muscles, column, arches = trunk.back_muscles(at), trunk.discs(at), trunk.arches(at)
    bodies = trunk.vertebral_bodies(at)
    canvas.fill(muscles, anatomy.MUSCLE[phase] + tone() + 14 * canvas.mottle)
    canvas.fill(column, anatomy.DISC + tone())
    bone = anatomy.CORTICAL_BONE + 6 * tone()
    canvas.fill(bodies, bone)
    canvas.fill(bodies + 2.5, anatomy.SPONGY_BONE + 4 * tone() + 25 * canvas.mottle)
    canvas.fill(arches, bone)
    canvas.fill(trunk.canal(at), anatomy.CANAL)
    canvas.labels[np.minimum.reduce([muscles, column, arches]) <= 0] = 0


def _bowel_loops(rng: Generator) -> list[Part]:
    """Draws loops of small bowel in front of and below the organs: similar in HU, and without a label."""
    loops: list[Part] = []
    for number in range(int(rng.integers(26, 42))):
        upper_left = number % 4 == 0  # jejunum, beside the stomach and in front of the left kidney
        start = (
            rng.uniform((-100, 45, -30), (-25, 110, 42)) if upper_left else rng.uniform((-95, 52, -125), (95, 122, 2))
        )
        path = [start]
        for _ in range(3):
            path.append(path[-1] + rng.normal(0, (22, 12, 14)))
        points = tuple((float(p[0]), float(p[1]), float(p[2])) for p in path)
        radius = float(rng.uniform(9, 14))
        radii = tuple(float(radius * rng.uniform(0.85, 1.15)) for _ in path)
        content = (150.0, 300.0) if rng.random() < 0.04 else (0.0, 60.0)  # in 4 % of loops oral contrast
        hollow = anatomy.Hollow(wall=3.5, content=content, gas=0.5 if rng.random() < 0.3 else 0.0, mottle=15)
        loops.append(Part(f"bowel_{number}", Tube(points, radii, steps=3), anatomy.BOWEL, clipped=True, hollow=hollow))
    return loops


def _cysts(rng: Generator) -> list[Part]:
    """Draws findings: dark cysts and lesions inside liver and kidneys, which keep the organ's label."""
    found: list[Part] = []
    places = {"liver": (75, 40, 50, 45), "kidney_right": (78, 0, 0, 20), "kidney_left": (-78, 0, 6, 20)}
    for number in range(int(rng.poisson(1.2))):
        organ = str(rng.choice(list(places)))
        x, y, z, spread = places[organ]
        x, y, z = rng.normal((x, y, z), spread / 2)
        hu, radius = float(rng.uniform(0, 25)), float(rng.uniform(5, 14))
        ball = Ellipsoid((x, y, z), (radius, radius, radius))
        found.append(Part(f"cyst_{number}", ball, (hu, hu + 2, hu + 2), within=organ))
    return found


def _scan(canvas: Canvas, spacing: Point) -> NDArray[np.int16]:
    """Blurs like a reconstruction kernel and adds noise that is correlated, and stronger in the middle of the body."""
    try:
        from scipy.ndimage import gaussian_filter
    except ImportError:
        raise MissingExtraError("scipy", "train") from None

    rng, patient = canvas.rng, canvas.patient
    image = gaussian_filter(canvas.hu, rng.uniform(0.25, 0.5))
    noise = gaussian_filter(rng.standard_normal(image.shape, dtype=np.float32), (0.75, 0.75, 0.3))
    noise /= max(float(noise.std()), 1e-6)
    depth = np.exp(-((canvas.at.x / 140) ** 2) - ((canvas.at.y - 35) / 110) ** 2)
    image += noise * np.float32(patient.noise) * (np.float32(0.6) + np.float32(0.7) * depth)
    return np.clip(np.rint(image), -1024, 3071).astype(np.int16)


def _stored(
    image: NDArray[np.int16], labels: NDArray[np.uint8], affine: NDArray[np.float64], codes: str
) -> tuple[Volume, Volume]:
    """Reorders arrays from RAS axes to other stored axes; every voxel keeps its world position."""
    from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(codes))
    moved = affine @ inv_ornt_aff(turn, image.shape)
    first, second = (np.ascontiguousarray(apply_orientation(a, turn)) for a in (image, labels))
    nx, ny, nz = first.shape
    grid = Grid((nx, ny, nz), moved)
    return Volume(first, grid), Volume(second, grid)


def generate_phantom(
    seed: int,
    *,
    spacing: Point | None = None,
    orientation: str | None = None,
    phase: Phase | None = None,
) -> Phantom:
    """Generates one case; the same arguments give the same arrays.

    Args:
        seed: random seed of everything that is not given.
        spacing: (x, y, z) in mm along the patient's axes; None draws 2.6…3.8 in plane and 3…5 between slices.
        orientation: axis codes of the stored arrays; None draws one of `ORIENTATIONS`.
        phase: contrast phase; None draws one.

    Returns:
        HU and labels of an adult from the heart to the rim of the pelvis, lying on the back, head first.
    """
    rng = np.random.default_rng(seed)
    patient = Patient.draw(rng)
    if phase is not None:
        patient = replace(patient, phase=phase)
    plane, slices = round(float(rng.uniform(2.6, 3.8)), 2), float(rng.choice((3.0, 3.5, 4.0, 5.0)))
    step = spacing or (plane, plane, slices)
    codes = orientation or str(rng.choice(ORIENTATIONS))

    width = (156 + 1.2 * patient.fat) * patient.scale[0] + _MARGIN_MM
    back = patient.offset[1] - (82 + 1.45 * patient.fat) * patient.scale[1]
    front = patient.offset[1] + (156 + patient.fat) * patient.scale[1]
    lows = (-width, back - 34, float(rng.uniform(-118, -95)) * patient.scale[2])
    highs = (width, front + _MARGIN_MM, float(rng.uniform(135, 168)) * patient.scale[2])
    x, y, z = (
        np.arange(low, high, s, dtype=np.float64).astype(np.float32)
        for low, high, s in zip(lows, highs, step, strict=True)
    )
    axes = (x, y, z)
    scanner = Coordinates(*np.meshgrid(*axes, indexing="ij"))
    at = patient_frame(rng, scanner, axes, patient)
    mottle = np.clip(smooth_field(rng, axes, 9.0), -2.5, 2.5)

    canvas = Canvas(rng, at, float(np.mean(step)), patient, mottle)
    board = trunk.couch(scanner, back - float(rng.uniform(1, 7)))
    canvas.fill(board, _COUCH_SKIN)
    canvas.fill(board + 3.5, _COUCH_FOAM)
    layers = Trunk.at(at, patient.fat)
    _paint_trunk(canvas, layers)
    for part in (*_bowel_loops(rng), *anatomy.VISCERA):
        canvas.paint(part, layers.viscera)
    _paint_spine(canvas)
    for part in (*anatomy.RETROPERITONEUM, *_cysts(rng)):
        canvas.paint(part, layers.viscera)

    affine = np.diag([*step, 1.0])
    affine[:3, 3] = np.array([axis[0] for axis in axes]) + rng.uniform(-60, 60, 3).round(1)
    image, labels = _stored(_scan(canvas, step), canvas.labels, affine, codes)
    return Phantom(image, labels, patient)


@dataclass(frozen=True)
class _Split:
    """Numbers of training, validation and test cases: about 70 %, 15 % and 15 %; none is 0 from three cases on."""

    training: int
    validation: int
    test: int

    @classmethod
    def of(cls, cases: int) -> _Split:
        held_out = 0 if cases < 3 else max(1, round(0.15 * cases))
        validation = held_out if cases >= 3 else cases - 1
        return cls(cases - held_out - validation, validation, held_out)


def training_cases(cases: int) -> int:
    """Returns how many of a number of phantoms `write_phantoms` puts on the training list."""
    return _Split.of(cases).training


def write_phantoms(
    out: Path, cases: int, seed: int, progress: Progress | None = None, *, labelled: int | None = None
) -> Path:
    """Writes phantoms as a Medical-Segmentation-Decathlon data set.

    The list is written last, so a folder with a ``dataset.json`` is complete.

    Args:
        out: folder of the data set; created if needed. Existing files with the same names are replaced.
        cases: number of cases, at least 1; about 70 % for training, 15 % for validation and 15 % for testing, at least
            one each from 3 cases on.
        seed: random seed; the same seed and number of cases give the same files.
        progress: called with (cases done, cases in total) after every case.
        labelled: number of training cases with label maps, the first ones; the list has the images of the others under
            ``unlabeled``. None: all.

    Returns:
        Path of ``dataset.json``. Its test entries have labels too (``labelsTs``).

    Raises:
        UsageError: the number of cases is below 1, the seed is negative, or there are not so many training cases.
        ResourceError: the folder cannot be written.
    """
    if cases < 1 or seed < 0:
        raise UsageError(f"phantoms: expected at least one case and a seed from 0, got {cases} cases and seed {seed}")
    split = _Split.of(cases)
    with_labels = _labelled(labelled, split.training)
    unlabelled: list[str] = []
    parts = ["training"] * split.training + ["validation"] * split.validation + ["test"] * split.test
    lists: dict[str, list[dict[str, str]]] = {"training": [], "validation": [], "test": []}
    seeds = np.random.SeedSequence(seed).generate_state(cases)
    try:
        for folder in ("imagesTr", "labelsTr", "imagesTs", "labelsTs"):
            (out / folder).mkdir(parents=True, exist_ok=True)
        (out / "dataset.json").unlink(missing_ok=True)
    except OSError as error:
        raise ResourceError(f'cannot create "{out}": {error.strerror}; choose a folder you may write to') from None
    for number, part in enumerate(parts):
        phantom = generate_phantom(int(seeds[number]))
        where, name = "Ts" if part == "test" else "Tr", f"phantom_{number:03d}.nii.gz"
        image, label = f"images{where}/{name}", f"labels{where}/{name}"
        write_volume(out / image, phantom.image.data, phantom.image.grid, description="bedside phantom")
        if part == "training" and number >= with_labels:
            unlabelled.append(image)
        else:
            write_volume(out / label, phantom.labels.data, phantom.labels.grid, description="bedside phantom")
            lists[part].append({"image": image, "label": label})
        if progress:
            progress(number + 1, cases)
    content = {
        "name": f"phantoms-{cases}-{seed}",
        "description": "CT-like phantoms, not patients; they show that the chain works and nothing more",
        "licence": "CC0-1.0",
        "tensorImageSize": "3D",
        "modality": {"0": "CT"},
        "labels": {str(value): name for value, name in enumerate(anatomy.LABELS)},
        "numTraining": len(lists["training"]),
        "numTest": len(lists["test"]),
        **lists,
        **({"unlabeled": unlabelled} if unlabelled else {}),
    }
    file = out / "dataset.json"
    with atomic_write(file) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return file


def _labelled(wanted: int | None, training: int) -> int:
    """Returns how many training cases have label maps."""
    if wanted is None:
        return training
    if not 1 <= wanted <= training:
        raise UsageError(f"phantoms: expected labels on 1 to {training} of {training} training cases, got {wanted}")
    return wanted
