"""Validation during training: sliding window over prepared cases, Dice per class on the task's grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from monai.inferers.utils import sliding_window_inference
from numpy.typing import NDArray

from ...runtime.errors import Cancelled
from ...runtime.hooks import Progress
from ...runtime.labels.restore import Labels, scores_to_labels
from ...runtime.preprocessing.preprocess import to_model_input
from ...runtime.scans.geometry import Grid
from ...runtime.scans.nifti import read_volume
from ...runtime.task import Task
from ..data.prepared_case import PreparedCase
from ..scores.metrics import dice_per_class
from .process_group import ProcessGroup

Predictor = Callable[[torch.Tensor], torch.Tensor]


def predict_logits(
    model: Predictor,
    image: NDArray[np.float32],
    task: Task,
    *,
    overlap: float,
    device: torch.device,
) -> torch.Tensor:
    """Runs a network over an image by Gaussian-weighted sliding windows.

    Args:
        model: network with logits ``[B, C, D, H, W]`` for patches ``[B, 1, D, H, W]``.
        image: normalised image ``[D, H, W]``.
        task: defines the window (the task's patch) and the padding value.
        overlap: overlap of neighbouring windows, 0…<1.
        device: device of the network.

    Returns:
        Blended logits ``[C, D, H, W]``, float32, on the CPU.
    """
    batch = torch.from_numpy(np.array(image))[None, None].to(device)
    with torch.inference_mode():
        logits = sliding_window_inference(
            batch, task.patch.dhw, 1, model, overlap=overlap, mode="gaussian", cval=task.intensity.air
        )
    if not isinstance(logits, torch.Tensor):
        raise TypeError(f"expected one tensor of logits, got {type(logits).__name__}")
    return logits[0].float().cpu()


def predict_probabilities(
    model: Predictor, case: PreparedCase, task: Task, *, overlap: float, device: torch.device
) -> torch.Tensor:
    """Returns a prepared case's softmax probabilities ``[C, D, H, W]`` (see `predict_logits`)."""
    return softmax_in_place(predict_logits(model, case.image(), task, overlap=overlap, device=device))


def softmax_in_place(logits: torch.Tensor) -> torch.Tensor:
    """Replaces logits ``[C, D, H, W]`` by their softmax, plane by plane: a copy of a whole case may be gigabytes."""
    with torch.inference_mode():  # a tensor that was made there may be changed there alone
        for plane in logits.unbind(1):
            plane.copy_(plane.softmax(0))
    return logits


class Shown(Protocol):
    """Callback that receives the predicted labels of the first case, to draw them."""

    def __call__(self, case: PreparedCase, labels: NDArray[np.integer]) -> None:
        """Called with the prepared case and its labels ``[D, H, W]`` on the process that predicted them."""
        ...


def validate(
    model: Predictor,
    cases: Sequence[PreparedCase],
    task: Task,
    group: ProcessGroup,
    *,
    overlap: float,
    agree: Callable[[], None] | None = None,
    progress: Progress | None = None,
    shown: Shown | None = None,
) -> NDArray[np.float64]:
    """Returns the mean Dice per class over cases, ``[num_classes]``; NaN for a class that no case contains.

    Ignored voxels of a case's label map are not compared.

    The cases are distributed over the processes and the scores gathered: N processes need 1/N of the time and get the
    same result as one. If the network is sharded, every forward pass needs all processes, and all predict every case
    together.

    Args:
        model: network with logits ``[B, C, D, H, W]`` for patches ``[B, 1, D, H, W]``; may raise `Cancelled` between
            two windows, which ends the case; then ``agree`` must raise it.
        cases: prepared cases, the same on every process.
        task: defines the window (the task's patch) and the classes.
        group: process group; the network is on its device.
        overlap: overlap of neighbouring windows, 0…<1.
        agree: called by all processes together after each round of cases; raises `Cancelled` to stop all of them.
        progress: called with (cases done, cases in total) after each round.
        shown: called with the labels of the first case; None draws nothing.

    Raises:
        Cancelled: raised by ``agree``.
    """
    together = 1 if group.sharded else group.size
    scores = np.zeros((len(cases), task.num_classes))

    def score(number: int) -> None:
        case = cases[number]
        logits = predict_logits(model, case.image(), task, overlap=overlap, device=group.device)
        labels = logits.max(0).indices.numpy()  # argmax takes seven times as long on a CPU
        scores[number] = dice_per_class(labels, np.asarray(case.labels()), task.num_classes, case.ignored_voxels())
        if number == 0 and shown:
            shown(case, labels)

    for start in range(0, len(cases), together):
        number = start if group.sharded else start + group.rank
        if number < len(cases):
            with suppress(Cancelled):  # this process received a signal; `agree` stops all
                score(number)
        if agree:
            agree()
        if progress:
            progress(min(start + together, len(cases)), len(cases))
    if not group.sharded:
        scores = group.total(scores)  # each row is zero except on the process that scored the case
    return mean_over_cases(scores)


def mean_over_cases(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the mean of each column of ``[cases, classes]`` over its finite values; NaN for a column without any."""
    present = np.isfinite(scores)
    counts = present.sum(axis=0)
    return np.divide(
        np.where(present, scores, 0).sum(axis=0), counts, out=np.full(len(counts), np.nan), where=counts > 0
    )


def segment_scan(
    model: Predictor, scan: Path, task: Task, *, overlap: float, device: torch.device
) -> tuple[Labels, Grid]:
    """Segments a scan file and returns the labels on the scan's own grid with this grid, as the runtime does.

    Raises:
        InputError: the scan cannot be used.
    """
    model_input = to_model_input(read_volume(scan), task)
    logits = predict_logits(model, model_input.array, task, overlap=overlap, device=device)
    return scores_to_labels(logits.numpy(), model_input.grid, model_input.source), model_input.source
