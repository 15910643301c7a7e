"""Trials of the reliability scorecard: a twentieth of them in `make test`, all in `make scorecard`."""

import os
from collections import Counter

import pytest

FULL = os.environ.get("BEDSIDE_TRIALS") == "full"
_COUNTS: dict[str, Counter[str]] = {}


@pytest.fixture
def trials():
    """Returns how many of a full number of trials to run now."""
    return lambda full: full if FULL else max(1, full // 20)


@pytest.fixture
def count(request):
    """Counts outcomes of a test; the raw counts are printed at the end."""
    return _COUNTS.setdefault(request.node.name, Counter())


def pytest_terminal_summary(terminalreporter):
    if _COUNTS:
        terminalreporter.section("scorecard, all trials" if FULL else "scorecard, a twentieth of the trials")
    for name, counts in _COUNTS.items():
        outcomes = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
        terminalreporter.write_line(f"{name}: {outcomes}")
