import pytest
from bedside.runtime.errors import FieldError, UsageError
from bedside.runtime.task_presets import PRESETS
from bedside.training.recipe import AUGMENTATION, Augmentation, Recipe


def drawn(**options):
    recipe = Recipe(warmup=0, **options)
    return [
        epoch
        for epoch in range(recipe.epochs)
        if ((epoch + 1) % recipe.validate_every == 0 or epoch + 1 == recipe.epochs) and recipe.draws_pictures(epoch)
    ]


def test_pictures_come_with_the_first_validation_of_each_tenth_epoch():
    assert drawn(epochs=30) == [9, 19, 29]
    assert drawn(epochs=30, validate_every=8) == [15, 23, 29]


def test_the_last_epoch_is_always_drawn():
    assert drawn(epochs=7) == [6]


def test_no_pictures_where_none_are_asked_for():
    assert drawn(epochs=30, pictures_every=0) == []


@pytest.mark.parametrize("field", ["epochs", "batch", "accumulate", "processes", "validate_every", "checkpoint_every"])
def test_counts_below_one_are_refused_by_name(field):
    with pytest.raises(ValueError, match=f"{field}: expected 1 or more, got 0"):
        Recipe(**{field: 0})


@pytest.mark.parametrize("field", ["flip", "rotate", "scale", "shift", "affine"])
@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_an_augmentation_that_is_no_probability_is_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"{field}: expected a probability, 0 to 1, got"):
        Augmentation(**{field: value})


@pytest.mark.parametrize(
    ("epochs", "warmup", "advice"),
    [(3, 5, "a warmup of 0…2, or 6 epochs or more"), (5, 5, "0…4, or 6 epochs"), (3, -1, "0…2$")],
)
def test_a_warmup_that_does_not_fit_says_what_would(epochs, warmup, advice):
    with pytest.raises(ValueError, match=f"got {warmup}; give .*{advice}"):
        Recipe(epochs=epochs, warmup=warmup)


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (0, 2.26999649e-08),  # 5e-4 · e^-10
        (4, 6.76676416e-05),  # 5e-4 · e^-2
        (5, 4.88735807e-04),  # 5e-4 · 0.975^0.9
        (6, 4.86479524e-04),  # 5e-4 · 0.97^0.9
        (100, 2.67943366e-04),  # 5e-4 · 0.5^0.9
        (199, 4.24661616e-06),  # 5e-4 · 0.005^0.9
    ],
)
def test_rate_of_the_papers_recipe(epoch, expected):
    assert Recipe().learning_rate(epoch) == pytest.approx(expected, rel=1e-8)


def test_without_warm_up_the_first_epoch_has_the_base_rate():
    assert Recipe(lr=1e-3, epochs=10, warmup=0).learning_rate(0) == 1e-3


@pytest.mark.parametrize("field", ["momentum", "auxiliary_alone"])
@pytest.mark.parametrize("value", [-0.1, 1.0, float("nan")])
def test_shares_of_one_or_more_are_refused_by_name(field, value):
    with pytest.raises(ValueError, match=f"{field}: expected 0 or more and less than 1, got"):
        Recipe(**{field: value})


@pytest.mark.parametrize("betas", [(1.5, 0.9), (0.9, 1.0), (-0.1, 0.9), (float("nan"), 0.9)])
def test_betas_are_what_adamw_takes(betas):
    with pytest.raises(ValueError, match="betas: expected two of 0 or more and less than 1"):
        Recipe(betas=betas)


def test_sgd_without_momentum_is_refused():
    """It has no state of a weight: averages would be left out without a word, and no checkpoint could be restored."""
    with pytest.raises(ValueError, match='momentum: expected more than 0 with "sgd", got 0'):
        Recipe(optimizer="sgd", momentum=0.0)
    assert Recipe(optimizer="adamw", momentum=0.0).momentum == 0


def test_the_first_share_of_the_epochs_trains_auxiliary_outputs_alone():
    recipe = Recipe(epochs=10, auxiliary_alone=0.2, warmup=0)
    assert [recipe.trains_auxiliary_alone(epoch) for epoch in (0, 1, 2, 9)] == [True, True, False, False]
    assert recipe.trains_auxiliary_alone(2, epochs=20)
    assert not Recipe(epochs=1, auxiliary_alone=0.2, warmup=0).trains_auxiliary_alone(0)
    assert not Recipe().trains_auxiliary_alone(0)


def test_the_last_epoch_trains_the_whole_network_however_large_the_share_before_it():
    recipe = Recipe(epochs=2, auxiliary_alone=0.8, warmup=0)
    assert [recipe.trains_auxiliary_alone(epoch) for epoch in (0, 1)] == [True, False]
    assert not Recipe(epochs=1, auxiliary_alone=0.8, warmup=0).trains_auxiliary_alone(0)


@pytest.mark.parametrize("share", [-0.1, 0.0004, 0.9996, 1.0, float("nan")])
def test_a_share_that_leaves_out_one_kind_of_crops_is_refused(share):
    with pytest.raises(ValueError, match=r"unlabelled: expected a share of 0, or of 0.001…0.999, got"):
        Recipe(unlabelled=share)


@pytest.mark.parametrize(("share", "cases", "steps"), [(0.9, 6, 60), (0.8, 12, 60), (0.5, 3, 6), (0.999, 1, 1000)])
def test_the_steps_are_exact_whatever_share_of_crops_has_no_labels(share, cases, steps):
    assert Recipe(unlabelled=share).steps(cases) == steps


@pytest.mark.parametrize("seed", [-1, 2**32, 2**70])
def test_a_seed_that_numpys_generator_does_not_take_is_refused(seed):
    with pytest.raises(FieldError, match=f"^seed: expected a whole number from 0 to 4294967295, got {seed}$"):
        Recipe(seed=seed)
    assert Recipe(seed=2**32 - 1).seed == 2**32 - 1


def test_a_recipe_for_a_task_has_the_tasks_augmentation_and_a_warm_up_in_proportion():
    recipe = Recipe().for_task(PRESETS["pelvic"], epochs=20, batch=2)
    augmentation = Augmentation(flip=0.3, rotate=0.2, scale=0.1, shift=0.1)  # AutoSAM Adapter, appendix 7.2
    assert recipe == Recipe(epochs=20, batch=2, warmup=0, augmentation=augmentation)


@pytest.mark.parametrize("task", PRESETS.values(), ids=lambda task: task.name)
def test_a_recipe_for_a_task_that_the_papers_do_not_have_augments_by_default(task):
    recipe = Recipe(lr=0.01, warmup=3, augmentation=Augmentation(flip=1.0)).for_task(task)
    assert recipe == Recipe(lr=0.01, warmup=3, augmentation=AUGMENTATION.get(task.name, Augmentation()))


@pytest.mark.parametrize(("epochs", "warmup"), [(1, 0), (39, 0), (40, 1), (100, 2), (200, 5), (400, 5)])
def test_a_shorter_training_warms_up_for_no_larger_share_of_it(epochs, warmup):
    assert Recipe().for_task(PRESETS["btcv"], epochs=epochs).warmup == warmup


def test_what_is_given_goes_before_what_the_task_brings():
    still = Augmentation(flip=0, rotate=0, scale=0)
    recipe = Recipe().for_task(PRESETS["pelvic"], epochs=20, warmup=3, augmentation=still)
    assert (recipe.warmup, recipe.augmentation) == (3, still)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": "20"}, "epochs: expected int, got str"),
        ({"epochs": 0}, "epochs: expected 1 or more, got 0"),
        ({"epochs": 3, "warmup": 3}, "warmup: expected fewer epochs than the whole training, 3, got 3"),
        ({"epoch": 20}, "recipe: .*no field 'epoch'"),
    ],
)
def test_a_wrong_field_for_a_task_is_refused_by_name(given, message):
    with pytest.raises(UsageError, match=message):
        Recipe().for_task(PRESETS["btcv"], **given)


def test_the_name_of_a_task_is_no_task():
    with pytest.raises(UsageError, match='task: expected a Task, got "pelvic"'):
        Recipe().for_task("pelvic")
