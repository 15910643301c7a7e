"""The weights that a training starts from: of an earlier run, or of a bundle that holds them."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from ..runtime.bundles.bundle import Bundle
from ..runtime.bundles.manifest import WEIGHTS_NAME
from ..runtime.errors import InputError, UsageError
from ..runtime.files.hashing import read_hashed
from ..runtime.task import Task
from ..training.loop.checkpoint import Checkpoint
from ..training.prepared_run import PreparedRun
from ..training.runs.learned_from import LearnedFrom
from ..training.runs.run import Run
from ..training.runs.run_or_bundle import is_bundle
from .seen_validation import warn_of_seen_validation

_log = logging.getLogger("bedside.distill")


@dataclass(frozen=True, eq=False)
class EarlierWeights:
    """The weights of a trained student or locator.

    Attributes:
        name: name of the run directory or bundle.
        made_by: "run", "locator run", … or "bundle", then the name of the network, for messages.
        network: kind and name of the network.
        task: the task that they were trained for.
        sha256: hash of the weights file.
        licence: what the bundle states that holds them, or those that taught the student; empty without such bundles.
        learned_from: the data that they were trained on.
        checkpoint: the tensors.
    """

    name: str
    made_by: str
    network: tuple[str, str]
    task: Task
    sha256: str
    licence: str
    learned_from: LearnedFrom
    checkpoint: Checkpoint

    @classmethod
    def open(cls, path: Path, kind: str, student: str, task: Task) -> EarlierWeights:
        """Reads the weights, and checks that they are those of this network.

        Args:
            path: run directory, or a bundle that was exported with its weights.
            kind: "student" or "locator".
            student: name of the network that will be trained.
            task: the task of the training.

        Raises:
            InputError: there is neither a trained run nor a bundle with weights.
            BundleError: the bundle was altered.
            UsageError: the weights are another network's, for another number of classes, or for classes of the task
                in another order.
        """
        weights = _of_bundle(path) if is_bundle(path) else _of_run(path)
        if weights.network != (kind, student):
            wanted = f"run or bundle of {student}" if kind == "student" else f"{kind} run of {student}"
            found_kind, found = weights.network
            advice = f": give one, or --student {found}" if found_kind == kind else ""
            raise UsageError(f'"{weights.name}" is a {weights.made_by}; --init needs an earlier {wanted}{advice}')
        labels = weights.task.labels
        if len(labels) != task.num_classes:
            raise UsageError(f'"{weights.name}" has {len(labels)} classes, the task {task.num_classes}')
        if any(name in labels and labels.index(name) != index for index, name in enumerate(task.labels)):
            raise UsageError(
                f'"{weights.name}" has classes of the task in another order ({", ".join(labels)}): its outputs '
                "would begin as those of other organs; give data set and task this order"
            )
        return weights

    def log_origin(self, prepared: PreparedRun) -> None:
        """Logs what may make a training from these weights worse, or look better, than it is.

        Args:
            prepared: the training.
        """
        earlier, task = f'the earlier {self.network[0]} "{self.name}"', prepared.run.config.task
        warn_of_seen_validation(self.learned_from, earlier, prepared)
        changed = [name for name, value in task.preparation.items() if value != self.task.preparation[name]]
        if changed:
            _log.warning(
                "%s learned from scans that were prepared otherwise (%s): it has to get used to the new ones; for "
                "its own, give --task and --spacing as it had them",
                earlier,
                ", ".join(changed),
            )


def _of_run(path: Path) -> EarlierWeights:
    run = Run.open(path)
    config, model = run.config, run.config.model
    # First: it says what to do about a run without best weights.
    checkpoint, sha256 = read_hashed(run.best, lambda: Checkpoint.read(run.best))
    return EarlierWeights(
        name=run.name,
        made_by=f"run of {model.name}" if model.kind == "student" else f"{model.kind} run of {model.name}",
        network=(model.kind, model.name),
        task=config.task,
        sha256=sha256,
        licence="" if config.distillation is None else config.distillation.teachers_licences,
        learned_from=LearnedFrom.of_run(run),
        checkpoint=checkpoint,
    )


def _of_bundle(path: Path) -> EarlierWeights:
    with Bundle.open(path) as bundle:
        manifest, name = bundle.manifest, path.name
        if not manifest.is_trainable:
            raise InputError(f'the bundle "{name}" holds no weights to start from; export it with --trainable')
        return EarlierWeights(
            name=name,
            made_by=f"bundle of {manifest.provenance.student}",
            network=("student", manifest.provenance.student),
            task=manifest.task,
            sha256=manifest.files[WEIGHTS_NAME].sha256,
            licence=manifest.licence,
            learned_from=LearnedFrom.of_bundle(bundle),
            checkpoint=Checkpoint.read(bundle.file(WEIGHTS_NAME)),
        )
