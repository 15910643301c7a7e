"""The cases that the runs of a sweep are scored on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...runtime.engines import default_threads
from ...runtime.errors import InputError, UsageError
from ...training.data.case_check import ListedCase, check_cases, refuse_broken
from ...training.data.dataset import Case, Dataset
from ...training.runs.held_out import held_out_doubts, learned_by


@dataclass(frozen=True)
class ScoredCases:
    """The cases that the runs of a sweep are scored on.

    Attributes:
        case_list: the list they are from, "test" or "validation".
        cases: the cases, all with labels.
    """

    case_list: str
    cases: tuple[Case, ...]

    @classmethod
    def of(cls, dataset: Dataset) -> ScoredCases:
        """Returns the test cases with labels, or the validation cases if there are none.

        Raises:
            UsageError: the data set has neither.
        """
        test = tuple(case for case in dataset.test if case.label is not None)
        if not test and not dataset.validation:
            raise UsageError(
                f'data set "{dataset.name}" lists no test case with a label map and no validation case, so a sweep has '
                "nothing to score; set some apart with --validation-fraction 0.2 or --fold 0"
            )
        return cls("test", test) if test else cls("validation", dataset.validation)

    def check(self, labels: tuple[str, ...]) -> frozenset[str]:
        """Reads all cases: one that cannot be scored is to be known before the trainings, not after them.

        Args:
            labels: label names of the data set, by index.

        Returns:
            SHA-256 of each image file.

        Raises:
            InputError: a case cannot be used, or none has an organ.
            ResourceError: memory does not suffice for a case.
        """
        listed = [ListedCase(case, (self.case_list,), ()) for case in self.cases]
        checked = check_cases(listed, labels, None, workers=default_threads())
        refuse_broken([case for case, _ in checked])
        if not any(case.facts is not None and case.facts.volumes_ml for case, _ in checked):
            raise InputError(
                f"no {self.case_list} case has an organ in its label map, so a sweep has nothing to score; check the "
                "label maps, or leave the list out"
            )
        return frozenset(digest.image for _, digest in checked if digest is not None)

    def doubts(self, networks: Iterable[Path], images: frozenset[str]) -> tuple[str, ...]:
        """Returns why the cases may not be held out from what networks learned from, one line each.

        Args:
            networks: run directories and bundles.
            images: SHA-256 of the image files of the cases.

        Raises:
            InputError: a path is neither, or a run's record cannot be read.
            BundleError: a bundle was altered.
        """
        choosing = self.case_list == "test"  # a warning of its own says that validation cases did
        return held_out_doubts(learned_by(networks), images, f"{self.case_list} scans", choosing=choosing)
