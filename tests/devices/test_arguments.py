"""What the calls of `bedside.devices` accept."""

import pytest
from bedside.devices import benchmark, detect
from bedside.runtime.errors import UsageError


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bundle": None}, "bundle: expected a path"),
        ({"engines": "openvino"}, 'engines: expected a list of names, got "openvino"'),
        ({"precisions": "int8"}, 'precisions: expected a list of names, got "int8"'),
        ({"engines": [3]}, "engines: expected a text, got 3"),
        ({"input": 5}, "input: expected a path"),
        ({"threads": 2.0}, "threads: expected a whole number from 1 to 1024, got 2"),
        ({"overlap": "0.5"}, 'overlap: expected 0 ≤ overlap < 1, got "0.5"'),
        ({"min_seconds": -1}, "min_seconds: expected a number from 0 to 86400, got -1"),
        ({"end_to_end": "no"}, 'end_to_end: expected True or False, got "no"'),
        ({"progress": 1}, r"progress: expected a function progress\(done, total\), got 1"),
    ],
)
def test_benchmark_refuses_what_it_does_not_accept(bundle_path, options, message):
    with pytest.raises(UsageError, match=message):
        benchmark(**{"bundle": bundle_path, **options})


def test_detect_takes_a_folder():
    with pytest.raises(UsageError, match="root: expected a path"):
        detect(None)


def test_benchmark_refuses_wrong_arguments(refusals, tmp_path):
    given = {
        "bundle": tmp_path / "none", "engines": None, "precisions": None, "input": None, "threads": None,
        "overlap": None, "min_seconds": 0.0, "end_to_end": True, "progress": None,
    }  # fmt: skip
    assert refusals(benchmark, given) == set(given)  # no bundle: nothing is measured
