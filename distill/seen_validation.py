"""Warns where a network has, or may have, learned from the validation scans of a training that builds on it."""

from __future__ import annotations

import logging

from ..training.prepared_run import PreparedRun
from ..training.runs.held_out import held_out_doubts
from ..training.runs.learned_from import LearnedFrom

_log = logging.getLogger("bedside.distill")


def warn_of_seen_validation(learned: LearnedFrom, network: str, prepared: PreparedRun) -> None:
    """Warns where a network has, or may have, learned from the validation scans of a training that builds on it.

    Args:
        learned: what the network learned from.
        network: what it is, for the message.
        prepared: the training.
    """
    scans = prepared.validation_scans
    advice = "; give both the same validation cases" if learned.scans & scans else ""
    for doubt in held_out_doubts([(network, learned)], scans, "validation scans", choosing=False):
        _log.warning("%s%s", doubt, advice)
