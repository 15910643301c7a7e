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
    with pytest.raises(ValueError, match=f"{field} must be at least 1, got 0"):
        Recipe(**{field: 0})
