"""Checks that the trainings of a sweep differ by λ and seed alone, so that their Dice can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from ...runtime.errors import UsageError
from ...training.data.dataset import Dataset
from ...training.runs.run import Run
from ...training.runs.run_config import RunConfig, decisive_differences
from ..defaults import default_recipe, default_student
from .plan import SweepRun
from .results import BASELINE

_TEACHING = ("--unlabelled", "--unlabelled-share", "--pseudo-labels", "--imitation", "--teacher-targets")


def check_precision_named(words: Sequence[str]) -> None:
    """Checks that the trainings will have one number format: with ``auto``, each would choose for itself.

    Raises:
        UsageError: the arguments, or without a word of these the student's recipe, leave the choice to the trainings.
    """
    given = _options(words)
    own = default_recipe(given.get("--student", default_student())).precision
    if given.get("--precision", own) == "auto":
        raise UsageError("a sweep compares trainings of one precision: give 32-true or bf16-mixed, not auto")


def check_steps(dataset: Dataset, runs: Sequence[SweepRun], words: Sequence[str]) -> None:
    """Checks that λ = 1 will make as many steps as the others, although it draws no crops from scans without labels.

    Raises:
        UsageError: the number of steps depends on the share of these crops.
    """
    given = _options(words)
    drawn = (dataset.unlabelled or "--unlabelled" in given) and not _is_zero(given.get("--unlabelled-share"))
    lambdas = {run.lam for run in runs}
    if drawn and "--steps-per-epoch" not in given and BASELINE in lambdas and len(lambdas) > 1:
        raise UsageError(
            "λ = 1 draws no crops from scans without labels and would make fewer steps than the others: give the "
            "arguments --steps-per-epoch"
        )


def check_imitated(runs: Sequence[SweepRun], words: Sequence[str]) -> None:
    """Checks that options about what teachers teach come with a λ below 1, at which a student learns from them.

    Raises:
        UsageError: no training of the sweep would have a part for them.
    """
    given = _options(words)
    idle = [name for name in _TEACHING if name in given and not _is_zero(given[name])]
    if idle and {run.lam for run in runs} == {BASELINE}:
        raise UsageError(f"λ = 1 learns from labels alone: leave {' and '.join(idle)} out, or add a λ below 1")


def networks_built_on(runs: Sequence[SweepRun], words: Sequence[str]) -> list[Path]:
    """Returns the run directories and bundles that the trainings of a sweep build on: teachers, and earlier weights.

    Args:
        runs: the runs; with λ = 1 alone, teachers teach nothing.
        words: arguments of all trainings.
    """
    names = ("--init",) if {run.lam for run in runs} == {BASELINE} else ("--init", "--teacher")
    return [Path(value) for name, value in _pairs(words) if name in names]


def offsets_wanted(words: Sequence[str], begun: Sequence[SweepRun]) -> bool | None:
    """Returns whether the trainings are to have class offsets; None: as the student's recipe says.

    Args:
        words: arguments of all trainings; where these do not say, runs that have begun do.
        begun: the runs that have.

    Raises:
        UsageError: runs have class offsets, or are to have them, and the arguments refuse these.
    """
    has = {run.name: Run.open(run.path).config.recipe.class_offsets for run in begun}
    said = [word == "--class-offsets" for word in words if word in ("--class-offsets", "--no-class-offsets")]
    if not said:
        return any(has.values()) if has else None
    if not said[-1] and any(has.values()):
        name = next(name for name in has if has[name])
        raise UsageError(f'"{name}" was made with class offsets: leave --no-class-offsets out, or choose another -o')
    return said[-1]


def check_comparable(runs: Sequence[SweepRun], epochs: int | None = None, *, offsets: bool = False) -> None:
    """Checks that runs differ by λ and seed alone, as they do unless ``resume`` came with other options.

    Args:
        runs: the runs, each of which has started.
        epochs: number of epochs to which shorter runs will be made longer; None: they stay as they are.
        offsets: whether those without class offsets will get them.

    Raises:
        UsageError: two runs differ in another option.
    """
    first = min(runs, key=lambda run: run.lam)  # with teachers, if any run has them
    for run in runs:
        pair = first, run
        without = any(each.lam == BASELINE for each in pair)
        configs = [Run.open(each.path).config for each in pair]
        shares = [config.recipe.unlabelled for config in configs]
        before, now = (_comparable(config, without_teachers=without) for config in configs)
        differing = decisive_differences(before, now)
        if len({max(config.recipe.epochs, epochs or 0) for config in configs}) > 1:
            differing.append("recipe.epochs")
        if len({config.recipe.class_offsets or offsets for config in configs}) > 1:
            differing.append("recipe.class_offsets")
        if without and before.recipe.steps_per_epoch is None and shares[0] != shares[1]:
            differing.append("steps per epoch, by default more of them with scans without labels")
        if differing:
            raise UsageError(
                f'"{first.name}" and "{run.name}" were made with different options (differs in: '
                f"{', '.join(differing)}); give the sweep the options of its first call, or choose another -o"
            )


def _comparable(config: RunConfig, *, without_teachers: bool) -> RunConfig:
    """Returns a configuration without what may differ between two runs of a sweep."""
    recipe, distillation = msgspec.structs.replace(config.recipe, seed=0), config.distillation
    if distillation is not None:
        distillation = msgspec.structs.replace(distillation, lam=0.0)
    if without_teachers:
        recipe = msgspec.structs.replace(recipe, unlabelled=0.0)
        config = msgspec.structs.replace(config, unlabelled_hash="")
        if distillation is not None:
            distillation = msgspec.structs.replace(
                distillation, teachers=(), pseudo_labels=False, imitation="mse", targets="cached"
            )
    return msgspec.structs.replace(config, recipe=recipe, distillation=distillation)


def _is_zero(value: str | None) -> bool:
    """Whether an option has the value 0, in any spelling."""
    try:
        return value is not None and float(value) == 0
    except ValueError:
        return False


def _options(words: Sequence[str]) -> dict[str, str]:
    """Returns option → value of the words of a command line; the last value of an option counts."""
    return dict(_pairs(words))


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Returns each word of a command line with what follows it: "--seed 1" or "--seed=1" is ("--seed", "1")."""
    joined = [(name, value) for name, equals, value in (word.partition("=") for word in words) if equals]
    return [*zip(words, [*words[1:], ""], strict=True), *joined]
