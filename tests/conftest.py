"""Fixtures shared by all folders: the real scans, and small models and bundles whose output a person can compute."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import nibabel as nib
import numpy as np
import onnx
import psutil
import pytest
from bedside.distill import STUDENTS
from bedside.runtime import BedsideError, Manifest, Task, write_manifest
from bedside.runtime.bundles.golden_files import GOLDEN_FILES
from bedside.runtime.bundles.manifest import Provenance, TensorSpec
from bedside.runtime.bundles.variant import Variant
from bedside.runtime.engines import ENGINES
from bedside.runtime.labels.probabilities import softmax, to_levels
from bedside.runtime.task import Intensity, Modality
from bedside.teacher import TEACHERS
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from .descriptors import no_descriptors  # noqa: F401 - fixture
from .signing_keys import keys, new_key, other_keys  # noqa: F401 - fixtures
from .slurm_node import scheduler, slurm_conf  # noqa: F401 - fixtures

os.environ["BEDSIDE_CACHE"] = "off"  # also of the commands that tests start: nothing outside the tests' folders
for _name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "PYTHONIOENCODING"):
    os.environ.pop(_name, None)  # the caller's terminal is not what tests are about


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes are named by their number: packed data hold the second of their making, and workers' names must agree."""
    return f"{argname}-{len(val)}-bytes" if isinstance(val, bytes) else None


@pytest.fixture
def children() -> Callable[[], list[psutil.Process]]:
    """Returns the processes that this process has started since the test began, and that have not ended.

    A library may have started one of its own in an earlier test.
    """
    before = psutil.Process().children()
    return lambda: [each for each in psutil.Process().children() if each not in before]


@pytest.fixture(autouse=True)
def log_levels() -> Generator[None]:  # pyright: ignore[reportUnusedFunction]
    """Levels of the log, as they were after each test: ``--debug`` sets them for the rest of its process."""
    logs = [logging.getLogger(), logging.getLogger("bedside")]
    before = [log.level for log in logs]
    yield
    for log, level in zip(logs, before, strict=True):
        log.setLevel(level)


Floats = NDArray[np.float32]
REPOSITORY = Path(__file__).resolve().parents[1]
CUBE_TASK = """
name = "cube"
modality = "CT"
labels = ["background", "cube"]
spacing = [4.0, 4.0, 4.0]
patch = [16, 16, 16]

[intensity]
clip = [-200.0, 300.0]
scale_to = [0.0, 1.0]
"""
MEANS = (0.0, 0.5, 1.0)  # normalised intensity of background, fat, bone in the toy task


def conv_model(weight: Floats, bias: Floats, patch: Sequence[int], batch: int | str = "batch") -> bytes:
    """An ONNX of one 'same' convolution: weight [C, 1, k, k, k], bias [C], fixed patch (D, H, W)."""
    classes, kernel = weight.shape[0], weight.shape[2]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "weight", "bias"], ["logits"], pads=[kernel // 2] * 6)],
        "toy",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, 1, *patch])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, classes, *patch])],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def nearest_mean_model(patch: Sequence[int], means: Sequence[float] = MEANS) -> bytes:
    """A network that labels each voxel by the nearest of some intensities: logit = 20·(2·mean·x − mean²)."""
    values = np.asarray(means, np.float32)
    return conv_model(40 * values.reshape(-1, 1, 1, 1, 1), -20 * values**2, patch)


def nearest_mean_logits(patches: Floats, means: Sequence[float] = MEANS) -> Floats:
    """What `nearest_mean_model` returns, [N, C, D, H, W]."""
    values = np.asarray(means, np.float32).reshape(1, -1, 1, 1, 1)
    return (20 * (2 * values * patches - values**2)).astype(np.float32)


def toy_task(patch: tuple[int, int, int] = (16, 12, 8), spacing: tuple[float, float, float] = (3.0, 3.0, 3.0)) -> Task:
    """Fat around 0 HU, bone around 1000 HU, clipped to −1000…1000 and scaled to 0…1."""
    return Task(
        name="toy",
        modality=Modality.CT,
        labels=("background", "fat", "bone"),
        spacing=spacing,
        intensity=Intensity(clip=(-1000.0, 1000.0), scale_to=(0.0, 1.0)),
        patch=patch,
    )


def toy_manifest(task: Task, variants: tuple[Variant, ...], **changes: object) -> Manifest:
    """A manifest for a bundle directory, still without its files."""
    manifest = Manifest(
        task=task,
        variants=variants,
        input=TensorSpec(name="image", shape=("batch", 1, *task.patch.dhw)),
        output=TensorSpec(name="logits", shape=("batch", task.num_classes, *task.patch.dhw)),
        recommended_overlap=0.25,
        overlap_reason="toy",
        provenance=Provenance(code_version="0", created="2026-01-01T00:00:00Z", student="toy"),
        licence="Apache-2.0",
        intended_use="Tests.",
        golden=GOLDEN_FILES,
    )
    return msgspec.structs.replace(manifest, **changes)


def write_bundle(
    directory: Path,
    task: Task,
    model: bytes | None = None,
    *,
    golden_shift: float = 0.0,
    means: Sequence[float] = MEANS,
) -> Path:
    """Writes a toy bundle with an fp32 and an int8 variant (the same network under two names).

    ``golden_shift`` is added to the first class's golden logits; ``means`` are those of the network.
    """
    directory.mkdir(parents=True)
    model = nearest_mean_model(task.patch.dhw, means) if model is None else model
    for precision in ("fp32", "int8"):
        (directory / f"model.{precision}.onnx").write_bytes(model)
    (directory / "README.md").write_text("# Toy\n")
    patch = np.random.default_rng(0).random((1, 1, *task.patch.dhw), np.float32)
    logits = nearest_mean_logits(patch, means)[0]
    logits[0] += np.float32(golden_shift)
    np.save(directory / "golden_input.npy", patch)
    np.save(directory / "golden_output.npy", to_levels(softmax(logits)))
    np.save(directory / "golden_labels.npy", logits.argmax(0).astype(np.uint8))
    variants = tuple(
        Variant(precision=precision, engine="onnxruntime", file=f"model.{precision}.onnx")
        for precision in ("fp32", "int8")
    )
    write_manifest(directory, toy_manifest(task, variants))
    return directory


class Toy:
    """The helpers above, for tests to use by way of the fixture `toy`."""

    MEANS = MEANS
    conv_model = staticmethod(conv_model)
    nearest_mean_model = staticmethod(nearest_mean_model)
    nearest_mean_logits = staticmethod(nearest_mean_logits)
    task = staticmethod(toy_task)
    manifest = staticmethod(toy_manifest)
    write_bundle = staticmethod(write_bundle)


WRONG = (
    None, True, 0, -1, 1.5, math.nan, math.inf, 10**400, "", "x", "a\0b", "x" * 5000, b"x", [], [1], {}, {"a": 1},
    (1, 2, 3), object(), int, np.ones((2, 3, 4), np.int16), np.ones(3, object), np.ma.masked_all((2, 2, 2)),
    np.float64(2), np.eye(4), 1j, Path("no/such"), len, nib.Nifti1Image(np.ones((2, 3, 4), np.int16), None),
)  # fmt: skip
HOOKS = ("progress", "cancel", "model", "preparing", "teaching")  # called, so that what they raise comes through


def refusals(call: Callable[..., object], good: dict[str, Any], only: Sequence[str] | None = None) -> set[str]:
    """Gives a call each wrong value in each argument: it works, or raises an error of bedside's.

    Returns:
        The arguments for which every wrong value was refused.
    """
    always: set[str] = set()
    for name in good if only is None else only:
        taken = 0
        for value in WRONG:
            try:
                call(**{**good, name: value})
                taken += 1
            except BedsideError as error:
                assert "\n" not in str(error)  # noqa: PT017 - which values are refused is open
            except Exception as error:
                if not (callable(value) and name in HOOKS):
                    raise AssertionError(f"{call}: {name}={str(value)[:40]!r}") from error
        if not taken:
            always.add(name)
    return always


@pytest.fixture(name="refusals")
def refusals_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., set[str]]:
    """`refusals`, called in a folder of the test's, because a wrong value may be the name of a file."""
    monkeypatch.chdir(tmp_path)
    return refusals


@pytest.fixture(scope="session")
def toy() -> type[Toy]:
    return Toy


@pytest.fixture
def task() -> Task:
    return toy_task()


@pytest.fixture(scope="session")
def cube_task() -> str:
    """A task's TOML: cubes in CT, voxels of 4 mm, crops of 16³."""
    return CUBE_TASK


@pytest.fixture
def bundle_path(tmp_path: Path, task: Task) -> Path:
    return write_bundle(tmp_path / "toy.bedside", task)


@pytest.fixture
def tiny_bundle(tmp_path: Path) -> Path:
    """The toy bundle at 12 mm, where a benchmark's synthetic scan is tiny."""
    return write_bundle(tmp_path / "tiny.bedside", toy_task(patch=(16, 16, 16), spacing=(12.0, 12.0, 12.0)))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real CT scans beside the repository; the test is skipped where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real CT data are not on this machine")
    return folder


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Installs the packages in a folder, which holds modules and their metadata, for one test."""

    def install(folder: Path) -> None:
        monkeypatch.syspath_prepend(folder)
        for registry in (STUDENTS, TEACHERS, ENGINES):
            monkeypatch.setattr(registry, "_entries", None)  # searched once in a process otherwise

    return install


@pytest.fixture
def tiny_networks(installed: Callable[[Path], None]) -> None:
    """The student and the teacher family ``tiny``, those of an installed package."""
    installed(REPOSITORY / "tests" / "plugins")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)
