"""Whether scored scans are known to be held out from what networks learned from or were chosen by."""

from pathlib import Path

import pytest
from bedside.runtime.errors import InputError
from bedside.training.runs.held_out import held_out_doubts, learned_by
from bedside.training.runs.learned_from import LearnedFrom
from bedside.training.runs.run import Run

SCORED = frozenset({"t1", "t2"})
NOT_KNOWN = "learned: the test scans are not known to be held out"


def knows(*scans: str, chosen_by: tuple[str, ...] = ()) -> LearnedFrom:
    return LearnedFrom(scans=frozenset(scans), validation_scans=frozenset(chosen_by), knows_all=True)


def doubts(*networks: tuple[str, LearnedFrom]) -> tuple[str, ...]:
    return held_out_doubts(networks, SCORED, "test scans")


def test_networks_that_learned_from_other_scans_leave_no_doubt():
    assert doubts(("a", knows("u1", chosen_by=("v1",))), ("b", knows("u2"))) == ()


def test_the_scored_scans_that_any_network_learned_from_are_counted_and_these_networks_named():
    assert doubts(("a", knows("t1", "u1")), ("b", knows("t1")), ("c", knows("u2")), ("d", knows("t1", "t2"))) == (
        "1 of the 2 test scans, or copies of them, are among those from which a, b learned, directly or through what "
        "taught them: their Dice is too high, and says nothing about new scans",
        "2 of the 2 test scans, or copies of them, are among those from which d learned, directly or through what "
        "taught it: their Dice is too high, and says nothing about new scans",
    )


def test_scored_scans_that_chose_the_epoch_of_a_network_are_counted_unless_they_are_there_for_that():
    networks = [("a", knows(chosen_by=("t1", "v1"))), ("b", knows(chosen_by=("v1",))), ("c", knows(chosen_by=("t1",)))]
    (line,) = doubts(*networks)
    assert line == (
        "1 of the 2 test scans, or copies of them, are validation scans of a, c, or of what taught them: they chose "
        "the best epoch, and any class offsets were fitted to them, so that their Dice is too high for new scans"
    )
    assert held_out_doubts(networks, SCORED, "validation scans", choosing=False) == ()


def test_a_network_of_which_not_every_scan_is_known_leaves_the_doubt():
    some = LearnedFrom(scans=frozenset({"u1"}))
    assert doubts(("a", LearnedFrom()), ("b", knows("u2"))) == (
        f"not every scan is recorded from which a, or what taught it, {NOT_KNOWN}",
    )
    assert doubts(("a", LearnedFrom()), ("b", some)) == (
        f"not every scan is recorded from which a, b, or what taught them, {NOT_KNOWN}",
    )


def test_a_network_that_has_seen_a_scored_scan_may_have_seen_others_too():
    seen, unknown = doubts(("a", LearnedFrom(scans=frozenset({"t1"}))))
    assert seen.startswith("1 of the 2 test scans, or copies of them, are among those from which a learned, ")
    assert unknown.startswith("not every scan is recorded from which a, or what taught it, learned")


def test_two_networks_of_one_name_are_both_asked():
    (line,) = doubts(("run", knows("t1")), ("run", knows("u1")), ("run", knows("t1")))
    assert line.startswith("1 of the 2 test scans, or copies of them, are among those from which run learned, ")


def test_where_nothing_is_scored_nothing_can_be_too_high():
    assert held_out_doubts([("a", LearnedFrom())], frozenset(), "test scans") == ()


def test_runs_and_bundles_are_asked_by_name(tmp_path: Path, config, bundle_path):
    run = Run.create(tmp_path / "run", config, resume=False)
    run.start()
    knows("ab" * 32).keep(run)
    (name, of_run), (bundle, of_bundle) = learned_by([run.path, bundle_path])
    assert (name, bundle) == ("run", bundle_path.name)
    assert (of_run.scans, of_run.knows_all) == ({"ab" * 32}, True)
    assert of_bundle == LearnedFrom()  # the toy records nothing
    with pytest.raises(InputError, match='expected a run directory or a bundle, and "gone" does not exist'):
        learned_by([tmp_path / "gone"])
