"""The data that a network was trained on, and whether it may have seen the validation cases of a new training."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ..runtime.bundles.manifest import Manifest
from ..training.prepared_run import PreparedRun
from ..training.runs.run_config import RunConfig

_log = logging.getLogger("bedside.distill")


@dataclass(frozen=True)
class LearnedFrom:
    """The data that a network was trained on; a field that was not recorded is empty.

    Attributes:
        dataset: name of the data set.
        data_hash: SHA-256 over the content of its cases.
        validation_hash: SHA-256 over the content of its validation cases.
    """

    dataset: str = ""
    data_hash: str = ""
    validation_hash: str = ""

    @classmethod
    def of_run(cls, config: RunConfig) -> LearnedFrom:
        """Returns what a run records."""
        return cls(config.dataset, config.data_hash, config.validation_hash)

    @classmethod
    def of_bundle(cls, manifest: Manifest) -> LearnedFrom:
        """Returns what a bundle records, which is no more than the hash of all cases."""
        return cls(data_hash=manifest.provenance.data_hash)

    def warn_of_seen_validation(self, network: str, prepared: PreparedRun) -> None:
        """Warns where the network may have learnt from the validation cases, if any, of a training that builds on it.

        Args:
            network: what it is, for the message.
            prepared: the training.
        """
        if not prepared.validation:
            return
        new = prepared.run.config
        same_data = self.data_hash == new.data_hash
        if not self.dataset:
            other = "was trained on other data, or on another selection of these"
            of_bundle = other if self.data_hash else "does not say what it was trained on"
            _log.warning(
                "%s %s: if it has learnt from the student's validation cases, their Dice is too high",
                network,
                "was trained on this data set" if same_data else of_bundle,
            )
        if self.dataset == new.dataset and self._other_validation(new):
            _log.warning(
                "%s was trained on another %s of this data set: it may have learnt from the student's "
                "validation cases, and their Dice may be too high; give both the same ones%s",
                network,
                "split" if same_data else "selection",
                "" if new.fold is None else " (--fold)",  # which a list of validation cases does not go with
            )

    def _other_validation(self, new: RunConfig) -> bool:
        """Returns whether the network was validated on other cases, or in a run that does not say so on other data."""
        if not self.validation_hash:
            return self.data_hash != new.data_hash
        return self.validation_hash != new.validation_hash
