"""Pictures of the parity page: losses of Dice with their intervals, Dice over the overlap, and the worst cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...runtime.bundles.figures import OverlapPoint
from ...runtime.bundles.variant import Variant
from ...runtime.scans.nifti import read_volume
from ...runtime.task import Task
from ...training.runs.pictures import new_figure, overlay_picture, png
from ..gate_cases import GateCase, gate_truth
from .dice import VariantScores
from .verdict import MAX_DICE_DROP

_DIFFERING = "differing voxels"


@dataclass(frozen=True)
class WorstCase:
    """The gate case in which an organ lost most against fp32.

    Attributes:
        case: number of the case, from 0.
        organ: name of the organ.
        exact: its Dice with fp32.
        dice: its Dice with the variant.
        differing: number of voxels whose label differs between the two.
        picture: PNG of the truth, both label maps, and the differing voxels.
    """

    case: int
    organ: str
    exact: float
    dice: float
    differing: int
    picture: bytes


def worst_case(variant: VariantScores, exact: VariantScores, cases: Sequence[GateCase], task: Task) -> WorstCase | None:
    """Finds the worst case of a variant and draws it where most voxels differ; None if no case has an organ.

    Args:
        variant: results of the variant.
        exact: results of fp32 with the same engine.
        cases: the gate cases.
        task: the task.
    """
    losses = (exact.dice - variant.dice)[:, 1:]
    if np.isnan(losses).all():
        return None
    case, organ = (int(index) for index in np.unravel_index(np.nanargmax(losses), losses.shape))
    scan = read_volume(cases[case][0])
    own, reference = variant.labels[case].array(), exact.labels[case].array()
    truth = gate_truth(cases[case], case + 1, scan.grid).data
    differing = own != reference
    truth = np.where(truth < task.num_classes, truth, 0)  # without the value that marks ignored voxels
    maps = {
        "truth": truth,
        "fp32": reference,
        "variant": own,
        _DIFFERING: np.where(differing, task.num_classes, 0),
    }
    names = (*task.labels, _DIFFERING)
    centre_on = differing if differing.any() else truth
    return WorstCase(
        case,
        task.labels[organ + 1],
        float(exact.dice[case, organ + 1]),
        float(variant.dice[case, organ + 1]),
        int(np.count_nonzero(differing)),
        overlay_picture(scan, maps, names, task, centre_on),
    )


def drops_picture(variants: Sequence[Variant]) -> bytes:
    """Draws what each organ lost against fp32, with its interval, one colour per variant.

    Args:
        variants: variants with losses, at least one.
    """
    organs = list(variants[0].organ_drops)
    figure = new_figure(10, 1.6 + 0.32 * len(organs) + 0.1 * len(variants))
    axes = figure.subplots()
    for number, variant in enumerate(variants):
        drops = [variant.organ_drops[organ] for organ in organs]
        means = np.array([drop.mean for drop in drops])
        reach = [np.nan if drop.high is None else drop.high - drop.mean for drop in drops]  # no bar without interval
        places = np.arange(len(organs)) + 0.6 * ((number + 0.5) / len(variants) - 0.5)
        axes.errorbar(means, places, xerr=reach, fmt="o", markersize=4, capsize=2, label=variant.name)
    axes.axvline(0, color="grey", linewidth=0.8)
    axes.axvline(MAX_DICE_DROP, color="#c0392b", linestyle="--", linewidth=1, label="most that passes")
    axes.set_yticks(range(len(organs)), [organ.replace("_", " ") for organ in organs])
    axes.set(xlabel="Dice lost against fp32", ylim=(len(organs) - 0.5, -0.5))
    axes.grid(alpha=0.3, axis="x")
    figure.legend(loc="outside upper center", ncols=min(len(variants) + 1, 3), fontsize=9, frameon=False)
    return png(figure)


def overlap_picture(curve: Sequence[OverlapPoint], chosen: float) -> bytes:
    """Draws mean Dice against seconds per case, one point per overlap; the chosen one is filled.

    Args:
        curve: the points, the smallest overlap first.
        chosen: the recommended overlap.
    """
    figure = new_figure(7, 3.4)
    axes = figure.subplots()
    seconds, dice = [point.seconds for point in curve], [point.mean_dice for point in curve]
    axes.plot(seconds, dice, color="#4363d8", linewidth=1)
    for point in curve:
        face = "#4363d8" if point.overlap == chosen else "white"
        axes.plot(point.seconds, point.mean_dice, "o", color="#4363d8", markerfacecolor=face)
        axes.annotate(f"{point.overlap:g}", (point.seconds, point.mean_dice), (0, 7), textcoords="offset points")
    axes.margins(y=0.2)
    axes.set(xlabel="seconds per gate case", ylabel="mean Dice")
    axes.grid(alpha=0.3)
    return png(figure)
