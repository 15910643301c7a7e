"""Trials of the reliability scorecard: a twentieth of them in `make test`, all in `make scorecard`."""

import os
from collections import Counter

import pytest

FULL = os.environ.get("BEDSIDE_TRIALS") == "full"
_COUNTED = "scorecard outcomes"
_counts: dict[str, dict[str, int]] = {}


@pytest.fixture
def trials():
    """Returns how many of a full number of trials to run now."""
    return lambda full: full if FULL else max(1, full // 20)


@pytest.fixture
def count(request):
    """Counts outcomes of a test; the raw counts are printed at the end."""
    outcomes = Counter()
    yield outcomes
    plain = {str(outcome): int(number) for outcome, number in outcomes.items()}
    request.node.user_properties.append((_COUNTED, plain))  # travels to the process that prints the summary


def pytest_runtest_logreport(report):
    """Keeps the counts of a finished test, whichever process ran it."""
    if report.when == "teardown":
        for name, outcomes in report.user_properties:
            if name == _COUNTED:
                _counts[report.nodeid.rpartition("::")[2]] = outcomes


def pytest_terminal_summary(terminalreporter):
    if _counts:
        terminalreporter.section("scorecard, all trials" if FULL else "scorecard, a twentieth of the trials")
    for name, counts in sorted(_counts.items()):
        outcomes = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
        terminalreporter.write_line(f"{name}: {outcomes}")
