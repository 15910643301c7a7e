"""The trainings of a sweep: one per λ and seed, each with a run directory of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...runtime import arguments
from ...runtime.errors import UsageError
from ...runtime.files.atomic import make_folder
from ...training.data.case_cache import CASES_FOLDER
from ...training.recipe import LARGEST_SEED
from ...training.runs.run import Run


@dataclass(frozen=True)
class SweepRun:
    """One training of a sweep.

    Attributes:
        lam: λ, weight of the true labels in the loss, 0…1.
        seed: seed of weights, crops and augmentation.
        path: its run directory.
    """

    lam: float
    seed: int
    path: Path

    @property
    def name(self) -> str:
        """Name of the run directory, such as ``lambda-0.5_seed-0``."""
        return self.path.name

    @property
    def started(self) -> bool:
        """Whether the directory holds a run."""
        return (self.path / Run.CONFIG).exists()

    def finished(self, epochs: int | None = None, *, offsets: bool = False) -> bool:
        """Whether the run has done all of its epochs and then, if it is to have class offsets, looked for them.

        Args:
            epochs: number of epochs to reach if it is larger than the run's; None: the run's.
            offsets: whether it is to have class offsets even if it began without.

        Raises:
            InputError: the run's configuration or its best weights cannot be read.
        """
        if not self.started:
            return False
        run = Run.open(self.path)
        rows = run.rows()
        needed = max(run.config.recipe.epochs, epochs or 0)
        if not run.best.exists() or not rows or int(rows[-1]["epoch"]) + 1 < needed:
            return False
        wanted = run.config.recipe.class_offsets or offsets
        return not wanted or run.best_weights().class_offsets.epochs >= needed

    def arguments(self, shared: Sequence[str], *, resume: bool) -> list[str]:
        """Returns the arguments of `bedside distill` for this training; the last value of an option counts.

        Args:
            shared: arguments that all trainings of the sweep have.
            resume: whether to go on with the run.
        """
        options = ["--lambda", f"{self.lam:g}", "--seed", str(self.seed), "-o", str(self.path)]
        if self.lam == 1:  # the baseline learns nothing from scans without labels, and imitates nobody
            shared = _without("--unlabelled", shared)
            options += ["--unlabelled-share", "0", "--no-pseudo-labels"]
            options += ["--imitation", "mse", "--teacher-targets", "cached"]
        return [*shared, *options, *(["--resume"] if resume else [])]


def plan_runs(folder: Path, lambdas: Sequence[float], seeds: Sequence[int]) -> tuple[SweepRun, ...]:
    """Returns the trainings of a sweep: all λ with the first seed, then with the next.

    So a sweep that is stopped early has compared every λ already.

    Raises:
        UsageError: there is no λ or no seed, one is out of range, or a value occurs twice.
    """
    shares = [arguments.share("lambda", lam) for lam in arguments.sequence("lambdas", lambdas, "a list of numbers")]
    shares = [float(f"{share:g}") for share in shares]  # as the names of the runs say
    numbers = [
        arguments.whole_number("seed", seed, low=0, high=LARGEST_SEED)
        for seed in arguments.sequence("seeds", seeds, "numbers")
    ]
    for name, values in (("lambda", [f"{share:g}" for share in shares]), ("seed", [str(seed) for seed in numbers])):
        if not values:
            raise UsageError(f"sweep: expected at least one {name}, got none")
        doubled = [value for value, times in Counter(values).items() if times > 1]
        if doubled:
            raise UsageError(f"sweep: expected every {name} once, got {doubled[0]} twice")
    return tuple(
        SweepRun(lam, seed, folder / f"lambda-{lam:g}_seed-{seed}") for seed in numbers for lam in sorted(shares)
    )


def open_folder(folder: Path, *, resume: bool) -> None:
    """Creates the folder of a sweep, or checks that a sweep may go on in it.

    Raises:
        UsageError: the folder holds a run, or anything at all although ``resume`` is False.
        ResourceError: the folder cannot be created.
    """
    make_folder(folder)
    if (folder / Run.CONFIG).exists():
        raise UsageError(f'"{folder.name}" is a run directory; a sweep needs a folder of its own: choose another -o')
    held = sorted(entry.name for entry in folder.iterdir() if entry.name != CASES_FOLDER)
    if held and not resume:
        raise UsageError(
            f'"{folder.name}" holds other things (such as "{held[0]}"); add --resume to go on with a sweep in it, or '
            "choose another -o"
        )


def _without(option: str, words: Sequence[str]) -> list[str]:
    """Returns the words of a command line without an option and its value."""
    return [
        word
        for before, word in zip(("", *words), words, strict=False)
        if option not in (before, word) and not word.startswith(f"{option}=")
    ]
