"""The cases that the runs of a sweep are scored on, and whether these runs are known not to have learned from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...runtime.engines import default_threads
from ...runtime.errors import UsageError
from ...runtime.scans.names import joined_names
from ...training.data.case_check import ListedCase, check_cases, refuse_broken
from ...training.data.dataset import Case, Dataset
from ...training.runs.learned_from import LearnedFrom
from ...training.runs.run import Run
from ..teacher_task import is_bundle


@dataclass(frozen=True)
class HeldOut:
    """The cases that the runs of a sweep are scored on.

    Attributes:
        case_list: the list they are from, "test" or "validation".
        cases: the cases, all with labels.
    """

    case_list: str
    cases: tuple[Case, ...]

    @classmethod
    def of(cls, dataset: Dataset) -> HeldOut:
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
            InputError: a case cannot be used.
            ResourceError: memory does not suffice for a case.
        """
        listed = [ListedCase(case, (self.case_list,), ()) for case in self.cases]
        checked = check_cases(listed, labels, None, workers=default_threads())
        refuse_broken([case for case, _ in checked])
        return frozenset(digest.image for _, digest in checked if digest is not None)


def learned_by(networks: Iterable[Path]) -> list[tuple[str, LearnedFrom]]:
    """Returns the name of each run directory or bundle, and what its network learned from.

    A bundle does not say from which scans that was.

    Raises:
        InputError: a record cannot be read, or a path is neither a run directory nor a bundle.
    """
    return [
        (path.resolve().name, LearnedFrom() if is_bundle(path) else LearnedFrom.of_run(Run.open(path)))
        for path in networks
    ]


def held_out_doubts(
    learned: Sequence[tuple[str, LearnedFrom]], images: frozenset[str], case_list: str
) -> tuple[str, ...]:
    """Returns why scored cases may not be held out, one line each; none where every network learned from other scans.

    Args:
        learned: names of runs or bundles, which may be equal, and what each learned from.
        images: SHA-256 of the image files of the scored cases.
        case_list: the list that these cases are from, "test" or "validation".
    """
    return tuple(_doubts(learned, images, case_list))


def _doubts(learned: Sequence[tuple[str, LearnedFrom]], images: frozenset[str], case_list: str) -> Iterator[str]:
    of_scored = f"of the {len(images)} {case_list} scans, or copies of them, are"
    if seen := [(name, found) for name, each in learned if (found := each.scans & images)]:
        count, names = _counted(seen)
        yield (
            f"{count} {of_scored} among those from which {names} learned, directly or through what taught them: their "
            "Dice is too high, and says nothing about new scans"
        )
    if case_list == "test":
        validated = [(name, each.validation_scans or frozenset()) for name, each in learned]
        if chose := [(name, found) for name, scans in validated if (found := scans & images)]:
            count, names = _counted(chose)
            yield (
                f"{count} {of_scored} validation scans of {names}: they chose the best epoch, and any class offsets "
                "were fitted to them, so that their Dice is too high for new scans"
            )
    unknown = [name for name, each in learned if not each.scans & images and not each.knows_all]
    if unknown:
        yield (
            f"not every scan is recorded from which {_named(unknown)}, or what taught them, learned: the "
            f"{case_list} cases are not known to be held out"
        )


def _counted(found: Sequence[tuple[str, frozenset[str]]]) -> tuple[int, str]:
    """Returns the number of different scans, and the names of the networks."""
    return len(frozenset().union(*(scans for _, scans in found))), _named(name for name, _ in found)


def _named(names: Iterable[str]) -> str:
    """Returns names with commas between them, each once: a network may teach and be started from."""
    return joined_names(dict.fromkeys(names))
