import pytest
from bedside.training.recipe import Recipe


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


@pytest.mark.parametrize(
    ("epochs", "warmup", "advice"),
    [(3, 5, "a warmup of 0…2, or 6 epochs or more"), (5, 5, "0…4, or 6 epochs"), (3, -1, "0…2$")],
)
def test_a_warmup_that_does_not_fit_says_what_would(epochs, warmup, advice):
    with pytest.raises(ValueError, match=f"got {warmup}; give .*{advice}"):
        Recipe(epochs=epochs, warmup=warmup)
