"""What is wrong for every variant is raised; what fails in an engine becomes the result of its variant."""

import subprocess
import sys

import pytest
from bedside.devices import benchmark_process
from bedside.devices.benchmark_process import Benchmarking, BenchmarkRequest
from bedside.devices.report import FailedVariant
from bedside.runtime.errors import BundleError, InputError, MissingExtraError, ResourceError, UsageError

REQUEST = BenchmarkRequest("b.bedside", "onnxruntime", "int8", "CPU", threads=1, min_seconds=0.0)


@pytest.fixture
def measure(monkeypatch):
    """A function that measures `REQUEST`, with an error in place of the measurement."""

    def run(error):
        def failing(request, progress):
            progress(0.25)
            raise error

        monkeypatch.setattr(benchmark_process, "measure_variant", failing)
        steps = []
        with Benchmarking().ready() as measurement:
            outcome = measurement(REQUEST, lambda done, total: steps.append((done, total)))
        assert steps == [(25, 100)]
        return outcome

    return run


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ResourceError("no device"), "no device"),
        (MemoryError(), "out of memory"),
        (ValueError("the reason"), "ValueError: the reason"),
    ],
)
def test_the_failure_of_an_engine_is_the_result_of_its_variant(measure, error, reason):
    assert measure(error) == FailedVariant("onnxruntime", "int8", "CPU", reason)


@pytest.mark.parametrize(
    "error",
    [InputError("no scan"), BundleError("no bundle"), UsageError("wrong"), MissingExtraError("openvino", "openvino")],
)
def test_a_refusal_is_raised(measure, error):
    with pytest.raises(type(error)) as caught:
        measure(error)
    assert caught.value is error


def test_the_benchmark_process_brings_no_torch() -> None:
    code = "import sys, bedside.devices.benchmark_process; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
