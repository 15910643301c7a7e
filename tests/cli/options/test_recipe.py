"""Options of the recipe change what they name and nothing else."""

from dataclasses import fields

import msgspec
import pytest
from bedside.cli.options.command import arguments_of
from bedside.cli.options.recipe import RecipeOptions, changed_defaults
from bedside.runtime.errors import UsageError
from bedside.runtime.task_presets import PRESETS
from bedside.training.recipe import AUGMENTATION, Augmentation, Recipe

TOY = PRESETS["btcv"].replaced(name="toy")


def test_what_is_not_given_is_the_papers_recipe_on_one_device(asked):
    recipe, hardware = asked()[1]["recipe"], asked()[1]["hardware"]
    assert (recipe.epochs, recipe.batch, recipe.lr, recipe.weight_decay) == (200, 1, 5e-4, 1e-5)
    assert recipe.crops_per_step == 1
    assert (hardware.devices, hardware.nodes, hardware.workers) == (None, None, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--accumulate", "0"], "accumulate: expected 1 or more, got 0"),
        (["--epochs", "3", "--warmup", "4"], "got 4; give a warmup of 0…2, or 5 epochs or more"),
        (["--positive", "50"], "positive: expected a share of 0…1, got 50"),
        (["--pictures-every", "-1"], "pictures_every: expected 0 (none) or more, got -1"),
    ],
)
def test_values_that_cannot_be_are_refused_in_one_line(asked, capsys, options, message):
    assert asked(*options)[0] == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(("epochs", "warmup"), [(1, 0), (5, 0), (39, 0), (40, 1), (100, 2), (200, 5), (400, 5)])
def test_a_shorter_training_warms_up_for_no_larger_share_of_it(asked, epochs, warmup):
    assert asked("--epochs", str(epochs))[1]["recipe"].warmup == warmup


@pytest.mark.parametrize("default", [Recipe(), Recipe(epochs=30, lr=1e-3, balance_classes=True)])
def test_an_option_left_out_keeps_the_familys_value(default):
    recipe = RecipeOptions(batch=2).recipe(TOY, default)
    assert recipe == msgspec.structs.replace(default, batch=2)


def test_a_given_option_goes_before_a_networks_own_recipe_also_if_it_is_the_papers_value():
    own = Recipe(lr=0.01, balance_classes=True, loss="balanced-dice-ce")
    given = RecipeOptions(lr=5e-4, balance_classes=False, loss="dice-ce")
    assert given.recipe(TOY, own) == Recipe()
    assert RecipeOptions(seed=0).recipe(TOY, Recipe(seed=7)) == Recipe()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"class_offsets": False, "balance_classes": True}, ["--balance-classes", "--no-class-offsets"]),
        ({"seed": 0, "average_weights": 0.998}, ["--average-weights", "0.998", "--seed", "0"]),
    ],
)
def test_options_become_words_again_for_the_trainings_of_a_sweep(given, words):
    assert arguments_of(RecipeOptions(**given)) == words


def test_defaults_that_differ_from_the_papers_are_shown():
    assert changed_defaults(Recipe()) == {}
    assert changed_defaults(Recipe(lr=0.01, balance_classes=True)) == {"lr": "0.01", "balance_classes": "yes"}


def test_a_given_option_goes_before_a_change_of_the_command():
    assert RecipeOptions(epochs=9).recipe(TOY, Recipe(), epochs=7).epochs == 9
    assert RecipeOptions().recipe(TOY, Recipe(), epochs=7).epochs == 7


@pytest.mark.parametrize("name", [*AUGMENTATION, "a task of one's own"])
def test_the_task_brings_its_augmentation_and_the_caller_may_mirror(name):
    expected = AUGMENTATION.get(name, Augmentation())
    task = TOY.replaced(name=name)
    assert RecipeOptions().recipe(task, Recipe()).augmentation == expected
    mirrored = RecipeOptions(mirror=0.5).recipe(task, Recipe()).augmentation
    assert mirrored == msgspec.structs.replace(expected, mirror=0.5)
    still = RecipeOptions(flip=0, rotate=0.0).recipe(task, Recipe()).augmentation
    assert still == msgspec.structs.replace(expected, flip=0.0, rotate=0.0)


@pytest.mark.parametrize("option", ["flip", "rotate", "affine"])
def test_a_probability_above_1_is_refused_by_name(option):
    with pytest.raises(UsageError, match=f"{option}: expected a probability, 0 to 1, got 3"):
        RecipeOptions(**{option: 3.0}).recipe(TOY, Recipe())


def test_every_setting_of_a_recipe_can_be_given():
    elsewhere = {
        "processes",
        "precision",
        "unlabelled",
        "augmentation",
    }  # given by other options
    never = {"betas", "validation_overlap", "checkpoint_every"}
    options = {option.name for option in fields(RecipeOptions)}
    assert set(Recipe.__struct_fields__) - options == elsewhere | never
    assert set(Augmentation.__struct_fields__) - options == {"mirror_sides"}  # of earlier runs


def test_the_optimiser_of_a_family_can_be_replaced():
    own = Recipe(optimizer="sgd", lr=0.01, clip=12.0, auxiliary_alone=0.2)
    given = RecipeOptions(optimizer="adamw", weight_decay=0.0, clip=1.0, auxiliary_alone=0.0)
    assert given.recipe(TOY, own) == Recipe(lr=0.01, weight_decay=0.0)
    assert RecipeOptions(momentum=0.9).recipe(TOY, own) == msgspec.structs.replace(own, momentum=0.9)


def test_momentum_is_refused_where_the_optimiser_has_none():
    with pytest.raises(UsageError, match="--momentum goes with --optimizer sgd"):
        RecipeOptions(momentum=0.9).recipe(TOY, Recipe())


@pytest.mark.parametrize(("option", "value"), [("clip", 0.0), ("weight_decay", -1e-5), ("weight_decay", float("nan"))])
def test_settings_of_the_optimiser_out_of_range_are_refused_by_name(option, value):
    with pytest.raises(UsageError, match=f"{option}: expected"):
        RecipeOptions(**{option: value}).recipe(TOY, Recipe())
