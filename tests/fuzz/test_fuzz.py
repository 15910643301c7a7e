"""Every parser, fed with anything, raises what it documents and nothing else, and answers in time."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .inputs import mutated, mutated_json
from .targets import TARGETS

EXAMPLES = 5000 if os.environ.get("BEDSIDE_TRIALS") == "full" else 150
HANG_SECONDS = 10
GOLDEN = sorted((Path(__file__).parent / "golden").glob("*/*"))
JSON = ("manifest", "bundle_folder", "dataset_list", "splits", "measurements", "probe")


def in_time(one_input, data):
    """Feeds one input; a parser that hangs is stopped by an error of its own."""

    def late(_signal, _frame):
        raise TimeoutError(f"no answer within {HANG_SECONDS} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(HANG_SECONDS)
    try:
        one_input(data)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_fed_with_anything_raises_only_what_it_documents(name):
    target = TARGETS[name]
    seeds = target.seeds()
    inputs = [st.binary(max_size=400), mutated(seeds), *([mutated_json(seeds)] if name in JSON else [])]

    @settings(
        max_examples=EXAMPLES, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(st.one_of(inputs))
    def feed(data):
        in_time(target.one_input, data)

    feed()


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_what_was_once_found_stays_mended(path):
    in_time(TARGETS[path.parent.name].one_input, path.read_bytes())
