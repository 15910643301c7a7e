"""Offsets of the classes' logits that give the validation cases the highest Dice, put into a network's last bias.

Cross-entropy asks for probabilities, Dice for volumes, and a trained network draws some organs too large and others too
small. A calibrated network has its highest Dice where it calls a voxel an organ above half of that Dice, not above 0.5
(Lipton et al., "Optimal Thresholding of Classifiers to Maximize F1 Measure", ECML 2014, arXiv:1402.1892); one trained
with weighted classes has learned other probabilities than those of its data (Menon et al., "Long-tail learning via
logit adjustment", ICLR 2021, arXiv:2007.07314). One number for each class mends both, and costs a device nothing.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.hooks import RemovableHandle

from ...runtime.errors import Cancelled
from ...runtime.hooks import Progress
from ...runtime.task import Task
from ..data.prepared_case import PreparedCase
from ..runs.best_weights import BestWeights
from ..runs.run import Run
from ..scores.metrics import finite_mean
from .process_group import ProcessGroup
from .validate import Predictor, mean_over_cases, predict_logits, validate

_log = logging.getLogger("bedside.training")

_OFFSETS = torch.arange(-60, 61) / 20
_NONE = len(_OFFSETS) // 2  # the place of offset 0
_CLOSE = 5e-4  # offsets whose Dice differs by less are equally good: of these, the smallest
_ROUNDING = 1e-3  # of logits in float32, when a number of the size of an offset is added before the last layer

_TRIED = 8  # biases that may be the last layer's; more would cost a large network hours on a CPU
Array = NDArray[np.float64]


def offset_classes(
    model: torch.nn.Module,
    predict: Predictor,
    cases: Sequence[PreparedCase],
    task: Task,
    group: ProcessGroup,
    *,
    dice: float | None,
    overlap: float,
    agree: Callable[[], None],
    progress: Progress,
) -> float | None:
    """Moves a network's logits by the class offsets with the highest Dice on validation cases, if they raise it.

    The cases are predicted twice: to find the offsets of each class by itself, and with all of them together. All
    processes call this together and get the same offsets.

    Args:
        model: network in evaluation mode; its `last_bias` is changed in place.
        predict: the network, as `validate` calls it.
        cases: prepared validation cases, the same on every process.
        task: defines the window (the task's patch) and the classes.
        group: process group; the network is on its device.
        dice: what `validate` found for the network as it is, as a mean over the organs of these cases; None if unknown.
        overlap: overlap of neighbouring windows, 0…<1.
        agree: called by all processes together after each round of cases; raises `Cancelled` to stop all of them.
        progress: called with (cases done, cases to predict).

    Returns:
        The network's mean Dice over the organs of the cases, with the offsets. None if it stays as it was: no offsets
        raise its Dice, no case contains an organ, or it takes no offsets (see `warn_of_no_offsets`).

    Raises:
        Cancelled: raised by ``agree``.
    """
    bias = None if group.sharded else last_bias(model, task.num_classes, task.patch.dhw)
    if bias is None or not cases:
        return None
    total = 2 * len(cases)
    voxels = np.zeros((len(cases), 3, task.num_classes, len(_OFFSETS)))
    for start in range(0, len(cases), group.size):
        number = start + group.rank
        if number < len(cases):
            with suppress(Cancelled):  # this process received a signal; `agree` stops all
                image = cases[number].image()
                logits = predict_logits(predict, image, task, overlap=overlap, device=group.device)
                voxels[number] = count_voxels(logits, cases[number])
        agree()
        progress(min(start + group.size, len(cases)), total)
    voxels = group.total(voxels)
    offsets = best_offsets(voxels)
    if not offsets.any():
        return None
    before = finite_mean(mean_over_cases(dice_curves(voxels)[:, :, _NONE])[1:]) if dice is None else dice
    kept = bias.detach().clone()
    _add(bias, torch.from_numpy(offsets))
    after = finite_mean(
        validate(
            predict, cases, task, group, overlap=overlap, agree=agree,
            progress=lambda done, _, note="": progress(len(cases) + done, total),
        )[1:]
    )  # fmt: skip
    if math.isnan(after) or after <= before:
        bias.data.copy_(kept)
        return None
    if group.first:
        named = zip(task.labels, offsets, strict=True)
        moved = ", ".join(f"{name} {offset:+.2f}" for name, offset in named if offset)
        _log.info("class offsets %s: mean Dice on the validation cases %.3f, %.3f before", moved, after, before)
    return after


def record_choice(run: Run, weights: BestWeights, *, wanted: bool) -> None:
    """Writes to a run's configuration whether it is to have class offsets; weights that have some keep them.

    Args:
        run: the run, at its end.
        weights: the facts about its best weights.
        wanted: whether they are to have offsets.
    """
    run.record_class_offsets(wanted or weights.has_class_offsets)
    if weights.has_class_offsets and not wanted:
        _log.warning("the best weights have class offsets from before, which stay; a run without needs its own -o")


def warn_of_no_offsets(model: torch.nn.Module, cases: Sequence[PreparedCase], task: Task, *, sharded: bool) -> None:
    """Warns where `offset_classes` will do nothing, which is known before the training.

    Args:
        model: network in evaluation mode, trained or not.
        cases: prepared validation cases.
        task: the task of the training.
        sharded: whether the network is sharded over the processes.
    """
    why = None
    if not cases:
        why = "there are no validation cases to find them"
    elif sharded:
        why = "it is sharded over the processes"
    elif last_bias(model, task.num_classes, task.patch.dhw) is None:
        why = "its last layer has no bias"
    if why is not None:
        _log.warning("the network gets no class offsets: %s", why)


def count_voxels(logits: torch.Tensor, case: PreparedCase) -> Array:
    """Returns how many voxels a class gets, gets rightly, and has, for each offset of its logit alone.

    Ignored voxels and the background are not counted. Every class is looked at by itself, with the logits of the others
    as they are: organs border on the background, mostly.

    Args:
        logits: ``[C, D, H, W]``.
        case: the case that was predicted.

    Returns:
        ``[3, C, number of offsets]``.
    """
    ignored = case.ignored_voxels()
    known = torch.ones(logits.shape[1:], dtype=torch.bool) if ignored is None else torch.from_numpy(~ignored)
    scores, truth = logits[:, known], torch.from_numpy(np.array(case.labels()))[known]
    best = scores.topk(2, dim=0)
    voxels = np.zeros((3, len(logits), len(_OFFSETS)))
    for label in range(1, len(logits)):
        there = truth == label
        rival = torch.where(best.indices[0] == label, best.values[1], best.values[0])
        needed = rival - scores[label]  # the offset above which a voxel is this class
        within = needed < _OFFSETS[-1]
        voxels[0, label] = _counts_below(needed[within])
        voxels[1, label] = _counts_below(needed[within & there])
        voxels[2, label] = float(there.sum())
    return voxels


def dice_curves(voxels: Array) -> Array:
    """Returns each class's Dice for each offset, ``[cases, C, number of offsets]``; NaN where a case lacks the class.

    Args:
        voxels: `count_voxels` of each case, ``[cases, 3, C, number of offsets]``.
    """
    predicted, hit, true = np.moveaxis(voxels, 1, 0)
    return np.divide(2 * hit, predicted + true, out=np.full(true.shape, np.nan), where=true > 0)


def best_offsets(voxels: Array) -> NDArray[np.float32]:
    """Returns the offset of each class with the highest mean Dice, ``[C]``; 0 for a class that no case contains.

    A case without the class counts too, or offsets would draw organs where there are none: as if an organ of the mean
    size had been found exactly beside what is drawn.

    Args:
        voxels: `count_voxels` of each case, ``[cases, 3, C, number of offsets]``.
    """
    predicted, _, true = np.moveaxis(voxels, 1, 0)
    curves, has = dice_curves(voxels), true[:, :, 0] > 0
    offsets = np.zeros(curves.shape[1], np.float32)
    for label in np.flatnonzero(has.any(axis=0)):
        own, size = curves[:, label], true[has[:, label], label, 0].mean()
        scores = np.where(has[:, label, None], own, 2 * size / (2 * size + predicted[:, label])).mean(axis=0)
        good = _OFFSETS[torch.from_numpy(scores >= scores.max() - _CLOSE)]
        offsets[label] = good[good.abs().argmin()].item()
    return offsets


def last_bias(model: torch.nn.Module, classes: int, patch: tuple[int, int, int]) -> torch.nn.Parameter | None:
    """Returns the bias of a network's last layer: what is added to a class's entries is added to the class's logits.

    It is found by trying, from the layer that computes last: the bias that moves every logit of a random patch by the
    number of its class. With a sub-pixel head each class has several entries, one after the other.

    Args:
        model: network in evaluation mode; not modified.
        classes: number of classes.
        patch: size of a patch that the network accepts, D, H, W.

    Returns:
        The bias, ``[classes × entries]``; None if the network has none such.
    """
    tried = torch.arange(classes) / classes
    device = next(model.parameters()).device
    image = torch.rand(1, 1, *patch, generator=torch.Generator().manual_seed(0)).to(device)
    with torch.no_grad():
        logits, biases = _biases_by_use(model, image)
        expected = logits.float() + tried.to(device)[None, :, None, None, None]
        for bias in [each for each in biases if each.ndim == 1 and len(each) % classes == 0][:_TRIED]:
            before = bias.detach().clone()
            _add(bias, tried)
            moved = model(image).float()
            bias.copy_(before)
            if (moved - expected).abs().max() < _ROUNDING:
                return bias
    return None


def _biases_by_use(model: torch.nn.Module, image: torch.Tensor) -> tuple[torch.Tensor, list[torch.nn.Parameter]]:
    """Returns a network's logits, and its biases, those of the layers that computed last first."""
    used: dict[str, torch.nn.Parameter] = {}
    hooks: list[RemovableHandle] = []
    for name, module in model.named_modules():
        bias = getattr(module, "bias", None)
        if isinstance(bias, torch.nn.Parameter):

            def note(*_: object, name: str = name, bias: torch.nn.Parameter = bias) -> None:
                used.pop(name, None)
                used[name] = bias

            hooks.append(module.register_forward_hook(note))
    try:
        logits = model(image)
    finally:
        for hook in hooks:
            hook.remove()
    return logits, list(reversed(used.values()))


def _add(bias: torch.nn.Parameter, offsets: torch.Tensor) -> None:
    with torch.no_grad():
        bias.add_(offsets.to(bias).repeat_interleave(len(bias) // len(offsets)))


def _counts_below(needed: torch.Tensor) -> NDArray[np.int64]:
    """Returns how many voxels each offset exceeds, ``[number of offsets]``."""
    steps = torch.bucketize(needed, _OFFSETS, right=True)
    return torch.bincount(steps, minlength=len(_OFFSETS) + 1).cumsum(0)[: len(_OFFSETS)].numpy()
