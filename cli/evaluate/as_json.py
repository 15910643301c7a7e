"""The scores, and a comparison of two models, as JSON values: null where there is no figure."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...training.scores.comparison import Comparison, Difference
    from ...training.scores.evaluation import Evaluation, Means, OrganSummary
    from ...training.scores.metrics import CaseScores


def as_json(evaluation: Evaluation, comparison: Comparison | None) -> dict[str, Any]:
    """Returns all scores; ``missed`` marks an organ that the truth has and the prediction lacks."""
    content: dict[str, Any] = {
        "tolerance_mm": evaluation.tolerance_mm,
        "ignored_share": evaluation.ignored,
        "mean": _means(evaluation.mean),
        "organs": {organ.name: _organ(organ) for organ in evaluation.organs},
        "cases": [
            {"name": name, "mean": _means(evaluation.case_mean(scores)), "scores": _case(evaluation, scores)}
            for name, scores in evaluation.cases
        ],
    }
    return content if comparison is None else {**content, "comparison": _comparison(comparison)}


def _means(means: Means) -> dict[str, float | None]:
    return {"dice": _number(means.dice), "nsd": _number(means.nsd), "hd95_mm": _number(means.hd95)}


def _organ(organ: OrganSummary) -> dict[str, Any]:
    return {
        "dice": _number(organ.dice),
        "nsd": _number(organ.nsd),
        "hd95_mm": _number(organ.hd95),
        "volume_difference": _number(organ.volume),
        "cases": organ.cases,
        "missed": organ.missed,
        "spurious": organ.spurious,
    }


def _case(evaluation: Evaluation, scores: CaseScores) -> dict[str, Any]:
    return {
        evaluation.labels[label]: {
            "dice": _number(scores.dice[label]),
            "nsd": _number(scores.nsd[label]),
            "hd95_mm": _number(scores.hd95[label]),
            "missed": math.isinf(scores.hd95[label]),
            "truth_voxels": int(scores.truth_voxels[label]),
            "predicted_voxels": int(scores.predicted_voxels[label]),
        }
        for label in evaluation.reported
    }


def _comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "test": "wilcoxon signed-rank, two-sided",
        "cases": list(comparison.cases),
        "left_out": list(comparison.left_out),
        "metrics": {
            metric.value: {
                "organs": {row.organ: _difference(row) for row in rows[:-1]},
                "mean": _difference(rows[-1]),
            }
            for metric, rows in comparison.metrics.items()
        },
    }


def _difference(row: Difference) -> dict[str, Any]:
    values = {field.name: getattr(row, field.name) for field in fields(row) if field.name != "organ"}
    values = {name: _number(value) if isinstance(value, float) else value for name, value in values.items()}
    return {**values, "difference": _number(row.difference), "too_few": row.too_few}


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
