"""Places, files and time of jobs."""

import os
import time

import pytest
from bedside.runtime import ResourceError
from bedside.service.job import Job
from bedside.service.jobs import Jobs
from bedside.service.refusal import Failure, RefusedError
from bedside.service.settings import Settings


class Named:
    name = "toy"


@pytest.fixture
def jobs(tmp_path):
    with Jobs(Settings(folder=tmp_path, waiting=3, kept=4, uploads=2, keep_seconds=60)) as jobs:
        yield jobs


def added(jobs):
    job = jobs.open(Named(), 0)
    jobs.add(job)
    return job


def refusal(jobs, declared=0):
    with pytest.raises(RefusedError) as refused:
        jobs.open(Named(), declared)
    assert refused.value.status == 503
    assert refused.value.retry_seconds
    return str(refused.value)


def test_uploads_waiting_jobs_and_kept_results_each_have_an_end(jobs):
    uploads = [jobs.open(Named(), 0) for _ in range(2)]
    assert "2 scans are being received" in refusal(jobs)
    for job in uploads:
        jobs.add(job)
    added(jobs)
    assert "3 scans wait" in refusal(jobs)
    for job in uploads:
        job.cancel()
    added(jobs)
    assert "4 results are kept" in refusal(jobs)
    jobs.remove(uploads[0])
    assert added(jobs)


def test_a_dropped_upload_gives_its_place_and_files_back(jobs):
    job = jobs.open(Named(), 0)
    (job.folder / "upload").write_bytes(b"x")
    jobs.drop(job)
    assert jobs.waiting == 0
    assert list(jobs.folder.iterdir()) == []


def test_a_declared_size_beyond_the_disk_is_refused_before_it_comes(jobs):
    assert "no room on the disk" in refusal(jobs, 2**60)


def test_finished_jobs_go_when_their_time_is_over_and_others_stay(tmp_path):
    with Jobs(Settings(folder=tmp_path, keep_seconds=0.0)) as jobs:
        running, done = added(jobs), added(jobs)
        running.begin()
        done.finish(Failure(3, "refused"))
        jobs.expire()
        assert running.folder.exists()
        assert not done.folder.exists()
        assert jobs.find(running.name) is running


def test_a_job_whose_time_is_over_is_not_found_and_its_files_wait_for_expire(tmp_path):
    """Deleting gigabytes takes seconds; `find` and `open` run in the event loop of the server."""
    with Jobs(Settings(folder=tmp_path, keep_seconds=0.0)) as jobs:
        done = added(jobs)
        done.finish(Failure(3, "refused"))
        with pytest.raises(RefusedError, match="no such job"):
            jobs.find(done.name)
        added(jobs)
        assert done.folder.exists()
        jobs.expire()
        assert not done.folder.exists()


def test_a_service_that_waited_for_a_week_is_not_taken_for_forgotten(jobs):
    """Another container cannot look at this process; it removes temporary folders that nothing touched for a week."""
    os.utime(jobs.folder, (then := time.time() - 8 * 86_400, then))
    jobs.expire()
    assert time.time() - jobs.folder.stat().st_mtime < 86_400


def test_everything_goes_at_the_end(tmp_path):
    with Jobs(Settings(folder=tmp_path)) as jobs:
        job = added(jobs)
        assert job.folder.exists()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_resource_error(tmp_path):
    with pytest.raises(ResourceError, match="--folder"), Jobs(Settings(folder=tmp_path / "missing")):
        pass


def test_ids_cannot_be_guessed(jobs):
    first, second = added(jobs), added(jobs)
    assert len(first.name) == 32
    assert first.name != second.name
    assert first.name not in str(first.folder)


class TestAJob:
    @pytest.fixture
    def job(self, tmp_path):
        return Job("id", Named(), tmp_path / "job")

    def test_cancelled_in_the_queue_gives_its_memory_back_and_is_not_begun(self, job):
        given_back = []
        job.reservation.callback(given_back.append, True)
        job.cancel()
        assert given_back == [True]
        assert not job.begin()
        assert job.answer(60).code == 130

    def test_cancelled_while_it_runs_keeps_its_memory_until_it_ends(self, job):
        given_back = []
        job.reservation.callback(given_back.append, True)
        assert job.begin()
        job.cancel()
        assert given_back == []
        assert job.cancelled()
        job.finish(Failure(130, "cancelled"))
        assert job.state == "cancelled"

    def test_failed_has_the_code_of_the_family(self, job):
        job.begin()
        job.finish(Failure(5, "no memory"))
        answer = job.answer(60)
        assert (answer.state, answer.code, answer.error.message) == ("failed", 5, "no memory")
        assert 59 < answer.seconds_left <= 60

    def test_that_waits_has_no_code_and_no_end(self, job):
        job.progress(3, 7)
        answer = job.answer(60)
        assert (answer.state, answer.code, answer.seconds_left, answer.done, answer.total) == (
            "queued",
            None,
            None,
            3,
            7,
        )
