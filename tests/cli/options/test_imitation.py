"""The options of imitation: which are refused because they would have no effect."""

import pytest
from bedside.cli.options.imitation import ImitationOptions
from bedside.runtime import UsageError


@pytest.mark.parametrize(
    ("option", "given"),
    [("--imitation", {"imitation": "dice-ce"}), ("--teacher-targets", {"teacher_targets": "online"})],
)
def test_options_of_the_imitation_are_refused_where_nothing_is_imitated(option, given):
    with pytest.raises(UsageError, match=f"{option} has no effect at λ = 1"):
        ImitationOptions(**given, pseudo_labels=True).check(1.0)


@pytest.mark.parametrize("lam", [0.0, 0.5, None])
def test_they_are_accepted_below_one_and_in_a_sweep(lam):
    ImitationOptions(imitation="dice-ce", teacher_targets="online").check(lam)


@pytest.mark.parametrize("lam", [0.5, 1.0, None])
def test_a_folder_of_scans_none_of_which_is_drawn_is_refused(tmp_path, lam):
    with pytest.raises(UsageError, match="--unlabelled-share 0 leaves out the scans of --unlabelled"):
        ImitationOptions(unlabelled=tmp_path, unlabelled_share=0.0).check(lam)
    ImitationOptions(unlabelled_share=0.0).check(lam)
    ImitationOptions(unlabelled=tmp_path).check(lam)
