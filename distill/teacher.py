"""Opens a teacher of a distillation: the run of a teacher or of a student, or a bundle."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ..runtime.bundles.bundle import Bundle
from ..runtime.engine_selection.engine_choice import open_for_bundle
from ..runtime.engine_selection.engine_request import EngineRequest
from ..runtime.engines import Engine
from ..runtime.files.hashing import read_hashed
from ..runtime.preprocessing.preprocess import to_model_input
from ..runtime.preprocessing.resample import resample_linear
from ..runtime.scans.nifti import read_volume
from ..runtime.task import Task
from ..training.data.prepared_case import PreparedCase
from ..training.loop.validate import predict_logits, predict_probabilities, softmax_in_place
from ..training.runs.learned_from import LearnedFrom
from ..training.runs.run import Run
from ..training.runs.run_config import TeacherRecord
from ..training.runs.run_or_bundle import is_bundle
from .teacher_task import check_no_locator
from .trained import load_student

_log = logging.getLogger("bedside.distill")
FLOAT_BYTES = 4
_PASS_BYTES = FLOAT_BYTES + 1  # per class and voxel of a pass over windows: logits, and what lies between planes
_OVERLAP = 0.5  # of the sliding windows over a whole case


@dataclass(frozen=True)
class Teacher:
    """A trained network that teaches.

    Attributes:
        network: network in evaluation mode, logits ``[B, C, D, H, W]`` from ``[B, 1, D, H, W]``.
        task: the task that it was trained for.
        name: name of its run directory or bundle.
        sha256: hash of its weights file, or of its bundle.
        learned_from: the data that it was trained on.
        own_dice: mean Dice over the organs that its own training found on its validation cases, 0…1; None if unknown.
        licence: what its bundle states, or of a run, what the bundles state that taught it; empty without such bundles.
    """

    network: torch.nn.Module
    task: Task
    name: str
    sha256: str
    learned_from: LearnedFrom = field(default_factory=LearnedFrom)
    licence: str = ""
    own_dice: float | None = None

    @classmethod
    def open(cls, path: Path) -> Teacher:
        """Opens the trained network of a run directory or of a bundle.

        A bundle's network runs in fp32, in the fastest engine of this machine that passes the bundle's self-test: so
        any network teaches that `bedside export` takes, also of nnU-Net or MONAI.

        Raises:
            InputError: the directory holds no trained network, or that of a locator.
            BundleError: the bundle was altered, has no fp32 model, or fails its self-test.
            ResourceError: there is not enough memory for the model.
        """
        if is_bundle(path):
            return _of_bundle(path)
        run = Run.open(path)
        check_no_locator(run)
        (network, weights), sha256 = read_hashed(run.best, lambda: (_network_of(run), run.best_weights()))
        config, done = run.config, len(run.rows())
        if done < config.recipe.epochs:
            _log.warning(
                'teacher "%s" has done %d of its %d epochs: it may become better; its own command with --resume trains '
                "it to its end",
                run.name,
                done,
                config.recipe.epochs,
            )
        learned_from = LearnedFrom.of_run(run)
        licence = "" if config.distillation is None else config.distillation.teachers_licences
        return cls(network, config.task, run.name, sha256, learned_from, licence, weights.final_dice)

    @property
    def record(self) -> TeacherRecord:
        """What a student's run records of it."""
        return TeacherRecord(name=self.name, sha256=self.sha256, licence=self.licence)

    def probabilities(self, case: PreparedCase, task: Task, device: torch.device) -> NDArray[np.float32]:
        """Returns its probabilities ``[C, D, H, W]`` of a whole case on the case's grid, blended over windows.

        If ``task``, for which the case was prepared, prepares scans in another way than the teacher's own, the teacher
        reads the scan itself; its probabilities are interpolated.

        Raises:
            InputError: the scan cannot be read any more.
        """
        self.network.to(device)
        if self.task.preparation == task.preparation:
            return predict_probabilities(self.network, case, self.task, overlap=_OVERLAP, device=device).numpy()
        if case.scan is None:
            raise ValueError("expected a case with the file of its scan")
        scan = read_volume(case.scan)
        own = to_model_input(scan, self.task)
        logits = predict_logits(self.network, own.array, self.task, overlap=_OVERLAP, device=device)
        grid = task.grid_over(scan.grid)
        result = np.empty((len(logits), *grid.shape.dhw), np.float32)
        for organ, values in enumerate(softmax_in_place(logits).numpy()):
            result[organ] = resample_linear(values, own.grid, grid)
        return result

    def memory_needed(self, voxels: int, task: Task) -> int:
        """Predicts the bytes per class that `probabilities` needs at its peak.

        Args:
            voxels: number of voxels of the case, prepared for ``task``.
            task: the student's task.
        """
        if self.task.preparation == task.preparation:
            return voxels * _PASS_BYTES
        own = voxels * math.prod(task.spacing) / math.prod(self.task.spacing)
        return int(own * _PASS_BYTES) + voxels * FLOAT_BYTES


class EngineNetwork(torch.nn.Module):
    """A network that one of the runtime's engines computes on windows of its patch, without gradients.

    Args:
        engine: the engine; it stays open as long as the network lives.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Returns logits ``[B, C, D, H, W]``, float32, of patches ``[B, 1, D, H, W]`` on the patches' device.

        Raises:
            UsageError: the patches have another shape than the network's.
            ResourceError: the engine ran out of memory.
        """
        inputs = patches.detach().float().cpu().numpy()
        logits = [self._engine.infer(inputs[number : number + 1]) for number in range(len(inputs))]
        return torch.from_numpy(np.concatenate(logits)).to(patches.device)


def _of_bundle(path: Path) -> Teacher:
    with Bundle.open(path) as bundle:
        engine = open_for_bundle(bundle, EngineRequest(precision="fp32", threads=torch.get_num_threads())).engine
        manifest = bundle.manifest
        learned_from = LearnedFrom.of_bundle(bundle)
        network, name = EngineNetwork(engine).eval(), path.resolve().name
        return Teacher(network, manifest.task, name, bundle.sha256, learned_from, manifest.licence)


def _network_of(run: Run) -> torch.nn.Module:
    if run.config.model.kind == "student":
        return load_student(run.path).model
    from ..teacher.train import load_teacher

    return load_teacher(run.path)[0]
