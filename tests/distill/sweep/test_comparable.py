"""What may differ between the trainings of a sweep, and what may not."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from bedside.distill.sweep import comparable
from bedside.distill.sweep.comparable import (
    check_comparable,
    check_imitated,
    check_precision_named,
    check_steps,
    networks_built_on,
    offsets_wanted,
)
from bedside.distill.sweep.plan import plan_runs
from bedside.runtime.errors import UsageError
from bedside.runtime.task_presets import PRESETS
from bedside.training.data.dataset import Case
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import Distillation, ModelConfig, RunConfig, TeacherRecord

TEACHER = TeacherRecord(name="teacher", sha256="1")


def two_runs(folder, *, taught=None, alone=None, **recipe):
    """Writes the configurations of a run with λ = 0.5 and of one with λ = 1, with changes to each one's distillation.

    Args:
        folder: folder of the sweep.
        taught: fields of the distillation at λ = 0.5.
        alone: fields of the distillation at λ = 1.
        recipe: fields of the recipe at λ = 0.5; a field that ends in ``_of_both`` is one of both recipes.
    """
    both = {name.removesuffix("_of_both"): recipe.pop(name) for name in [*recipe] if name.endswith("_of_both")}
    runs = plan_runs(folder, (0.5, 1), (0,))
    settings = (
        (Recipe(**both, **recipe), Distillation(lam=0.5, teachers=(TEACHER,), **(taught or {}))),
        (Recipe(**both), Distillation(lam=1.0, **(alone or {}))),
    )
    for run, (given, distillation) in zip(runs, settings, strict=True):
        config = RunConfig(
            model=ModelConfig(kind="student", name="unet-nano"),
            task=PRESETS["btcv"],
            recipe=given,
            dataset="d",
            data_hash="0",
            unlabelled_hash="2" if given.unlabelled else "",
            distillation=distillation,
        )
        Run.create(run.path, config, resume=False).start()
    return runs


def test_runs_made_with_other_options_are_no_sweep(tmp_path):
    with pytest.raises(UsageError, match=r"made with different options \(differs in: recipe.lr, recipe.epochs\)"):
        check_comparable(two_runs(tmp_path, lr=0.25, epochs=7))


def test_runs_with_and_without_class_offsets_are_no_sweep_unless_all_will_get_them(tmp_path):
    runs = two_runs(tmp_path, class_offsets=True)
    with pytest.raises(UsageError, match=r"\(differs in: recipe.class_offsets\)"):
        check_comparable(runs)
    check_comparable(runs, offsets=True)


def test_a_sweep_that_goes_on_keeps_the_class_offsets_of_its_runs_and_gives_them_to_all(tmp_path):
    assert offsets_wanted(["data"], []) is None
    assert offsets_wanted(["data", "--no-class-offsets", "--class-offsets"], []) is True
    without = two_runs(tmp_path / "without")
    assert offsets_wanted(["data"], without) is False
    assert offsets_wanted(["data", "--class-offsets"], without) is True
    assert offsets_wanted(["data", "--no-class-offsets"], without) is False
    one = two_runs(tmp_path / "one", class_offsets=True)  # the sweep was stopped before the other one had them
    assert offsets_wanted(["data"], one) is True
    with pytest.raises(UsageError, match=r'^"lambda-0.5_seed-0" was made with class offsets: leave --no-class-offsets'):
        offsets_wanted(["data", "--no-class-offsets"], one)


def test_runs_that_will_be_made_equally_long_are_a_sweep(tmp_path):
    runs = two_runs(tmp_path, epochs=300)  # the sweep was stopped before it made the other one longer too
    check_comparable(runs, epochs=300)
    with pytest.raises(UsageError, match=r"differs in: recipe.epochs\)"):
        check_comparable(runs, epochs=250)


@pytest.mark.parametrize(
    "taught", [{}, {"pseudo_labels": True}, {"imitation": "dice-ce"}, {"targets": "online"}], ids=str
)
def test_the_baseline_is_compared_with_runs_whatever_their_teachers_teach(tmp_path, taught):
    check_comparable(two_runs(tmp_path, taught=taught))


def test_the_baseline_draws_no_scans_without_labels_but_makes_as_many_steps(tmp_path):
    check_comparable(two_runs(tmp_path / "equal", unlabelled=0.5, steps_per_epoch_of_both=60))
    with pytest.raises(UsageError, match="differs in: steps per epoch, by default more of them with scans without"):
        check_comparable(two_runs(tmp_path / "unequal", unlabelled=0.5))


@pytest.mark.parametrize(
    ("lambdas", "words", "listed", "refused"),
    [
        ((0.5, 1), [], False, False),
        ((0.5, 1), [], True, True),
        ((0.5, 1), ["--unlabelled", "scans"], False, True),
        ((0.5, 1), ["--unlabelled=scans"], False, True),
        ((0.5, 1), ["--steps-per-epoch", "60"], True, False),
        ((0.5, 1), ["--steps-per-epoch=60"], True, False),
        ((0.5, 1), ["--unlabelled-share", "0.00"], True, False),
        ((0.5, 1), ["--unlabelled-share", "0.3"], True, True),
        ((0.2, 0.5), [], True, False),
        ((1,), [], True, False),
    ],
)
def test_a_sweep_whose_baseline_would_make_fewer_steps_is_refused(cubes, tmp_path, lambdas, words, listed, refused):
    dataset = replace(cubes.dataset, unlabelled=(Case("more", Path("more.nii")),)) if listed else cubes.dataset
    runs = plan_runs(tmp_path, lambdas, (0,))
    if not refused:
        check_steps(dataset, runs, ["data", *words])
        return
    with pytest.raises(UsageError, match=re.escape("would make fewer steps than the others: give")):
        check_steps(dataset, runs, ["data", *words])


@pytest.mark.parametrize("words", [["--precision", "auto"], ["--precision=auto"], ["--precision", "auto", "-q"]])
def test_trainings_that_would_each_choose_a_precision_are_no_sweep(words):
    with pytest.raises(UsageError, match="give 32-true or bf16-mixed, not auto"):
        check_precision_named(["data", *words])


def test_a_students_own_recipe_may_leave_the_choice_too(monkeypatch):
    monkeypatch.setattr(comparable, "default_recipe", {"unet-nano": Recipe(precision="auto")}.__getitem__)
    with pytest.raises(UsageError, match="give 32-true or bf16-mixed, not auto"):
        check_precision_named(["data", "--student", "unet-nano"])
    check_precision_named(["data", "--student", "unet-nano", "--precision", "32-true"])


@pytest.mark.parametrize(
    "words", [[], ["--precision", "bf16-mixed"], ["--precision", "auto", "--precision", "32-true"]]
)
def test_trainings_of_one_precision_are_a_sweep(words):
    check_precision_named(["data", *words])


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--pseudo-labels"], "--pseudo-labels"),
        (["--unlabelled", "scans"], "--unlabelled"),
        (["--unlabelled-share=0.5", "--imitation", "dice-ce"], "--unlabelled-share and --imitation"),
        (["--teacher-targets", "online"], "--teacher-targets"),
    ],
)
def test_what_teachers_teach_is_refused_where_no_training_learns_from_them(words, named):
    with pytest.raises(UsageError, match=f"^λ = 1 learns from labels alone: leave {named} out, or add a λ below 1$"):
        check_imitated(plan_runs(Path("sweep"), [1], [0, 1]), ["data", *words])
    check_imitated(plan_runs(Path("sweep"), [0.5, 1], [0]), ["data", *words])


def test_the_same_words_for_nothing_are_none(tmp_path):
    check_imitated(plan_runs(tmp_path, [1], [0]), ["data", "--no-pseudo-labels", "--unlabelled-share", "0.000"])


@pytest.mark.parametrize(
    ("lambdas", "names"), [((0.5, 1), ["earlier", "runs/a", "runs/b"]), ((1,), ["earlier"])], ids=str
)
def test_the_networks_that_trainings_build_on_are_the_teachers_and_the_earlier_weights(lambdas, names):
    words = ["data", "--init", "earlier", "--teacher", "runs/a", "--student", "unet-nano", "--teacher=runs/b"]
    assert networks_built_on(plan_runs(Path("out"), lambdas, (0,)), words) == [Path(name) for name in names]
