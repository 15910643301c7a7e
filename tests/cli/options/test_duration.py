"""A duration is a number with a unit, and anything else is refused in one line."""

import pytest
from bedside.cli.options.duration import duration
from bedside.runtime.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("20s", 20), ("90", 90), ("2h", 7200), ("1.5 min", 90), (" 5M ", 300), ("500ms", 0.5)],
)
def test_durations_with_units(text, seconds):
    assert duration("--sustained", text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-5s", "3;s", "1e9s", "30 fortnights", "nan", "9" * 400])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UsageError, match="--sustained: expected a duration like 500ms, 20s, 30min or 2h"):
        duration("--sustained", text)
