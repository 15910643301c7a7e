"""Validation during training: sliding window over prepared cases, Dice per class on the task's grid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from monai.inferers.utils import sliding_window_inference
from numpy.typing import NDArray

from ..runtime.labels.restore import Labels, scores_to_labels
from ..runtime.preprocessing.preprocess import to_model_input
from ..runtime.scans.geometry import Grid
from ..runtime.scans.nifti import read_volume
from ..runtime.task import Task
from .metrics import dice_per_class
from .prepare import PreparedCase

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
        model: logits ``[B, C, D, H, W]`` from ``[B, 1, D, H, W]``.
        image: ``[D, H, W]``, normalised.
        task: its patch is the window.
        overlap: of neighbouring windows, 0…<1.
        device: where the network is.

    Returns:
        Blended logits ``[C, D, H, W]``, float32, on the CPU.
    """
    batch = torch.from_numpy(np.array(image))[None, None].to(device)
    with torch.inference_mode():
        logits = sliding_window_inference(
            batch, task.patch_dhw, 1, model, overlap=overlap, mode="gaussian", cval=task.intensity.air
        )
    if not isinstance(logits, torch.Tensor):
        raise TypeError(f"expected one tensor of logits, got {type(logits).__name__}")
    return logits[0].float().cpu()


def predict_probabilities(
    model: Predictor, case: PreparedCase, task: Task, *, overlap: float, device: torch.device
) -> torch.Tensor:
    """Returns a prepared case's softmax probabilities ``[C, D, H, W]`` (see `predict_logits`)."""
    return predict_logits(model, case.image(), task, overlap=overlap, device=device).softmax(0)


def validate(
    model: Predictor,
    cases: Sequence[PreparedCase],
    task: Task,
    *,
    overlap: float,
    device: torch.device,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float64]:
    """Returns the mean Dice per class over cases, ``[num_classes]``; NaN where no case has the class."""
    scores = np.full((len(cases), task.num_classes), np.nan)
    for number, case in enumerate(cases):
        labels = predict_probabilities(model, case, task, overlap=overlap, device=device).argmax(0).numpy()
        scores[number] = dice_per_class(labels, np.asarray(case.labels()), task.num_classes)
        if progress:
            progress(number + 1, len(cases))
    present = np.isfinite(scores)
    counts = present.sum(axis=0)
    return np.divide(
        np.where(present, scores, 0).sum(axis=0), counts, out=np.full(len(counts), np.nan), where=counts > 0
    )


def segment_scan(
    model: Predictor, scan: Path, task: Task, *, overlap: float, device: torch.device
) -> tuple[Labels, Grid]:
    """Runs a network over a scan, from the file to labels on the scan's own grid, as the runtime does.

    Raises:
        InputError: the scan was refused.
    """
    model_input = to_model_input(read_volume(scan), task)
    logits = predict_logits(model, model_input.array, task, overlap=overlap, device=device)
    return scores_to_labels(logits.numpy(), model_input.grid, model_input.source), model_input.source
