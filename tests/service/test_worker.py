"""The worker goes on after whatever a job raises, and tells it without values of the scan."""

import pytest
from bedside.runtime import InputError
from bedside.service.job import Job
from bedside.service.refusal import RefusedError, failure_of
from bedside.service.worker import Worker


class Named:
    name = "toy"


class Failing:
    def __init__(self, error):
        self.error = error

    def run(self, progress):
        raise self.error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (InputError("the scan is cut off"), 3, "the scan is cut off"),
        (MemoryError(), 5, "memory ran out"),
        (OSError(28, "No space left on device", "/tmp/DOE^JANE"), 5, "the system refused: No space left on device"),
        (ValueError("DOE^JANE"), 1, "a fault in bedside (ValueError)"),
    ],
)
def test_an_error_becomes_the_outcome_and_the_next_job_runs(tmp_path, error, code, words):
    worker = Worker()
    jobs = [Job(str(number), Named(), tmp_path) for number in range(2)]
    given_back = []
    for job in jobs:
        job.reserved = Failing(error)
        job.reservation.callback(given_back.append, job.name)
        worker.put(job)
    worker.close()
    assert given_back == ["0", "1"]
    for job in jobs:
        answer = job.answer(60)
        assert (answer.state, answer.code) == ("failed", code)
        assert answer.error.message.startswith(words)
        assert "DOE" not in answer.error.message


@pytest.mark.parametrize(
    ("error", "status", "retries"),
    [
        (InputError("x"), 422, False),
        (MemoryError(), 503, True),
        (ValueError("x"), 500, False),
        (RefusedError(404, "x", 2), 404, False),
    ],
)
def test_an_error_has_its_status(error, status, retries):
    refused = RefusedError.of(error)
    assert refused.status == status
    assert (refused.retry_seconds is not None) == retries
    assert failure_of(error).code == RefusedError.of(error).code or status == 404
