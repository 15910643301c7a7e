import pytest
from bedside.cli.options.postprocessing import PostprocessingOptions
from bedside.runtime import UsageError
from bedside.runtime.labels.postprocess import Postprocessing


@pytest.mark.parametrize("entry", ["fat", "fat=", "fat=much", "fat=-1", "fat=nan"])
def test_a_least_volume_that_is_none_is_a_usage_error(entry):
    with pytest.raises(UsageError, match=r"LABEL=ML|millilitres above 0"):
        PostprocessingOptions(min_volume=[entry]).requested()


def test_two_least_volumes_of_one_label_are_refused():
    with pytest.raises(UsageError, match='"fat" is given more than once'):
        PostprocessingOptions(min_volume=["fat=100", "bone=1", "fat=0.001"]).requested()


def test_none_excludes_the_others():
    with pytest.raises(UsageError, match="--no-postprocessing excludes"):
        PostprocessingOptions(largest_component=["all"]).requested(none=True)


def test_without_an_option_the_bundles_own_steps_stay_and_none_takes_them_away():
    assert PostprocessingOptions().requested() is None
    assert PostprocessingOptions().requested(none=True) == Postprocessing()


def test_options_become_the_steps():
    options = PostprocessingOptions(largest_component=["fat"], min_volume=["fat=1", "a=b=2.5"], within_body=True)
    assert options.requested() == Postprocessing(
        largest_component=("fat",), min_volume_ml={"fat": 1.0, "a=b": 2.5}, within_body=True
    )


def test_all_labels_need_no_other_named():
    assert PostprocessingOptions(largest_component=["fat", "all"]).requested().largest_component == "all"
