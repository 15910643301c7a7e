"""Warns where a network has, or may have, learned from the validation cases of a training that builds on it."""

from __future__ import annotations

import logging

from ..training.prepared_run import PreparedRun
from ..training.runs.learned_from import LearnedFrom
from ..training.runs.run_config import RunConfig

_log = logging.getLogger("bedside.distill")


def warn_of_seen_validation(learned: LearnedFrom, network: str, prepared: PreparedRun) -> None:
    """Warns where a network has learned from the validation cases, if any, of a training that builds on it.

    Where every scan that it learned from is known, these are compared with the validation scans. Otherwise names and
    hashes of the data sets tell whether it may have seen some.

    Args:
        learned: what the network learned from.
        network: what it is, for the message.
        prepared: the training.
    """
    if not prepared.validation:
        return
    seen = len(learned.scans & prepared.validation_scans)
    if seen:
        _log.warning(
            "%s has learned from %d of the %d validation scans, directly or through what taught it: their Dice is too "
            "high; give both the same validation cases",
            network,
            seen,
            len(prepared.validation_scans),
        )
    elif not learned.knows_all:
        _warn_of_unknown_scans(learned, network, prepared.run.config)


def _warn_of_unknown_scans(learned: LearnedFrom, network: str, new: RunConfig) -> None:
    same_data = learned.data_hash == new.data_hash
    if not learned.dataset:
        other = "was trained on other data, or on another selection of these"
        of_bundle = other if learned.data_hash else "does not say what it was trained on"
        _log.warning(
            "%s %s: if it has learnt from the student's validation cases, their Dice is too high",
            network,
            "was trained on this data set" if same_data else of_bundle,
        )
    if learned.dataset == new.dataset and _other_validation(learned, new):
        _log.warning(
            "%s was trained on another %s of this data set: it may have learnt from the student's "
            "validation cases, and their Dice may be too high; give both the same ones%s",
            network,
            "split" if same_data else "selection",
            "" if new.fold is None else " (--fold)",  # which a list of validation cases does not go with
        )


def _other_validation(learned: LearnedFrom, new: RunConfig) -> bool:
    """Returns whether the network was validated on other cases, or in a run that does not say so on other data."""
    if not learned.validation_hash:
        return learned.data_hash != new.data_hash
    return learned.validation_hash != new.validation_hash
