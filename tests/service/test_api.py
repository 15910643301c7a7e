"""A scan over HTTP: accepted, followed, fetched, cancelled, removed, or refused in one line."""

import gzip
import io
import time

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime import Segmenter
from bedside.service.job import Job
from bedside.service.segmenting import SEGMENTATION
from msgspec.structs import replace

from ..dicom.written_series import write_series
from .running import API, BYTES, running, scan_bytes, zip_bytes


def wait_until(true):
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


class TestAScan:
    def test_becomes_the_label_map_that_the_runtime_makes(self, client, toy_bundle, tmp_path):
        posted = client.post_scan()
        assert posted.status_code == 202
        job = posted.json()
        assert posted.headers["location"] == f"/api/v1/jobs/{job['id']}"
        assert client.finished(job)["state"] == "done"
        fetched = nib.Nifti1Image.from_bytes(gzip.decompress(client.get(f"{API}jobs/{job['id']}/labels").content))
        (tmp_path / "ct.nii").write_bytes(scan_bytes())
        with Segmenter.load(toy_bundle, engine="onnxruntime", threads=1) as segmenter:
            expected = segmenter.segment(tmp_path / "ct.nii")
        assert np.array_equal(np.asarray(fetched.dataobj), expected.labels)
        assert np.array_equal(fetched.affine, expected.affine)
        volumes = client.get(f"{API}jobs/{job['id']}/volumes").json()
        assert volumes["volumes_ml"] == dict(expected.volumes_ml)
        assert volumes["volumes_ml"]["bone"] == pytest.approx(27 * 0.027)

    def test_tells_its_progress_window_by_window(self, client, gate):
        job = client.post_scan().json()
        gate.set()
        events = client.events(job)
        assert [kind for kind, _ in events][-1] == "end"
        shown = [each["done"] for _, each in events]
        assert shown == sorted(shown)
        assert shown[-1] == events[-1][1]["total"] > 0

    def test_may_be_gzipped_and_sent_without_a_length(self, client):
        content = gzip.compress(scan_bytes())
        job = client.post_scan(iter([content[:100], content[100:]])).json()
        assert client.finished(job)["code"] == 0

    def test_comes_back_as_it_was_sent(self, client):
        job = client.post_scan().json()
        client.finished(job)
        assert client.get(f"{API}jobs/{job['id']}/scan").content == scan_bytes()

    def test_that_needs_review_says_so_as_the_command_does(self, client):
        hu = np.full((14, 12, 10), -1000, np.int16)
        hu[0] = -990
        job = client.post_scan(nib.Nifti1Image(hu, np.diag([3.0, 3, 3, 1])).to_bytes()).json()
        ended = client.finished(job)
        assert ended["code"] == 6
        assert any("empty" in warning for warning in ended["result"]["warnings"])


class TestADicomSeries:
    @pytest.fixture
    def series(self, tmp_path):
        hu = np.full((10, 12, 14), -1000, np.int16)
        hu[2:-2, 2:-2, 2:-2] = 0
        files = write_series(tmp_path / "series", values=hu)
        return {f"DOE_JANE/{file.name}": file.read_bytes() for file in files}

    def test_in_a_zip_gives_labels_and_a_dicom_segmentation(self, client, toy_bundle, series, tmp_path):
        import pydicom
        from bedside.dicom import open_series

        job = client.post_scan(zip_bytes(series)).json()
        ended = client.finished(job)
        assert ended["state"] == "done", ended
        assert ended["result"]["segmentation"]
        seg = pydicom.dcmread(io.BytesIO(client.get(f"{API}jobs/{job['id']}/segmentation").content))
        assert seg.Modality == "SEG"
        shown = nib.Nifti1Image.from_bytes(gzip.decompress(client.get(f"{API}jobs/{job['id']}/scan").content))
        labels = nib.Nifti1Image.from_bytes(gzip.decompress(client.get(f"{API}jobs/{job['id']}/labels").content))
        opened = open_series(tmp_path / "series")
        with Segmenter.load(toy_bundle, engine="onnxruntime", threads=1) as segmenter:
            expected = segmenter.segment(opened)
        assert np.array_equal(np.asarray(labels.dataobj), expected.labels)
        assert np.array_equal(np.asarray(shown.dataobj), np.stack([plane.T for plane in opened.planes()], axis=-1))
        assert np.allclose(shown.affine, labels.affine)
        for content in (shown.to_bytes(), labels.to_bytes(), str(ended).encode()):
            assert b"Doe" not in content
            assert b"4711" not in content  # of the patient's name and id in every slice

    def test_whose_segmentation_was_not_written_leads_to_the_warnings_that_say_why(self, client, series, monkeypatch):
        finish = Job.finish

        def unwritten(job, answer):
            (job.folder / SEGMENTATION).unlink()
            finish(job, replace(answer, segmentation=False, warnings=["there is no DICOM segmentation: no codes"]))

        monkeypatch.setattr(Job, "finish", unwritten)
        job = client.post_scan(zip_bytes(series)).json()
        client.finished(job)
        answer = client.get(f"{API}jobs/{job['id']}/segmentation")
        assert answer.status_code == 404
        assert "could not be written; the warnings of the job say why" in answer.json()["error"]["message"]

    def test_leaves_no_name_on_the_disk(self, client, series, folder, gate):
        job = client.post_scan(zip_bytes(series)).json()
        names = " ".join(str(path) for path in folder.rglob("*"))
        assert "00000.dcm" in names
        assert "DOE" not in names
        client.delete(f"{API}jobs/{job['id']}")

    def test_with_a_missing_slice_is_refused_unless_gaps_are_filled(self, client, series):
        # By place in the stack: `write_series` names files in another order.
        import pydicom

        place = {name: pydicom.dcmread(io.BytesIO(data)).ImagePositionPatient[2] for name, data in series.items()}
        gap = sorted(place, key=lambda name: place[name])[4]
        rest = zip_bytes({name: data for name, data in series.items() if name != gap})
        refused = client.post_scan(rest)
        assert refused.status_code == 422
        assert "missing" in refused.json()["error"]["message"]
        ended = client.finished(client.post_scan(rest, fill_gaps="true").json())
        assert ended["code"] == 6


class TestCancelling:
    def test_ends_a_running_job_before_its_next_window(self, client, gate):
        job = client.post_scan().json()
        wait_until(lambda: client.get(f"{API}jobs/{job['id']}").json()["total"] > 0)
        assert client.post(f"{API}jobs/{job['id']}/cancel").status_code == 202
        ended = client.finished(job)
        assert (ended["state"], ended["code"]) == ("cancelled", 130)
        assert client.get(f"{API}jobs/{job['id']}/labels").status_code == 409

    def test_after_the_end_leaves_the_results(self, client, monkeypatch):
        finish = Job.finish

        def cancelled_at_once(job, answer):
            finish(job, answer)
            job.cancel()

        monkeypatch.setattr(Job, "finish", cancelled_at_once)
        first, second = client.post_scan().json(), client.post_scan().json()
        client.finished(second)  # the worker has left the first one by then
        assert client.get(f"{API}jobs/{first['id']}").json()["state"] == "done"
        assert client.get(f"{API}jobs/{first['id']}/labels").status_code == 200

    def test_ends_a_queued_job_at_once(self, client, gate):
        first, second = client.post_scan().json(), client.post_scan().json()
        assert client.post(f"{API}jobs/{second['id']}/cancel").json()["state"] == "cancelled"
        gate.set()
        assert client.finished(first)["state"] == "done"

    def test_by_removing_leaves_neither_job_nor_files(self, client, folder, gate):
        before = set(folder.rglob("*"))
        job = client.post_scan().json()
        assert set(folder.rglob("*")) > before
        assert client.delete(f"{API}jobs/{job['id']}").status_code == 204
        assert client.get(f"{API}jobs/{job['id']}").status_code == 404
        wait_until(lambda: set(folder.rglob("*")) == before)


class TestRefused:
    @pytest.mark.parametrize(
        ("content", "status", "words"),
        [
            (b"x" * 1000, 422, "expected"),
            (b"", 422, "got nothing"),
            (scan_bytes()[:-100], 422, "truncated"),
            (gzip.compress(scan_bytes())[:-5], 202, None),  # the header is sound; the end is found when it is read
            (zip_bytes({"a.txt": b"hello"}), 422, "no DICOM file"),
            (zip_bytes({"../../a.dcm": b"hello"}), 422, "leads out"),
        ],
    )
    def test_files_that_are_no_scan_name_the_fault(self, client, content, status, words):
        answer = client.post_scan(content)
        if status == 202:
            ended = client.finished(answer.json())
            assert (ended["state"], ended["error"]["code"]) == ("failed", 3)
            return
        assert answer.status_code == status
        assert answer.json()["error"]["code"] == 3
        assert words in answer.json()["error"]["message"]

    @pytest.mark.parametrize(
        ("query", "words"),
        [
            ({"bundle": "other"}, "bundle: expected one of toy"),
            ({"volume": "x"}, "volume"),
            ({"colour": "red"}, "colour"),
            ({"prefer": "pixdim"}, "prefer"),
            ({"volume": "-1"}, "volume"),
        ],
    )
    def test_queries_that_are_wrong(self, client, query, words):
        answer = client.post_scan(**query)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] == 2
        assert words in answer.json()["error"]["message"]

    def test_a_parameter_given_twice(self, client):
        answer = client.post(API + "jobs?volume=0&volume=1", content=scan_bytes(), headers=BYTES)
        assert answer.status_code == 400

    @pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "", "application/json"])
    def test_types_that_a_form_of_another_page_can_send(self, client, kind):
        answer = client.post(API + "jobs", content=scan_bytes(), headers={"Content-Type": kind})
        assert answer.status_code == 415

    @pytest.mark.parametrize("path", ["", "/labels", "/events", "/volumes", "/scan", "/segmentation"])
    def test_jobs_that_are_not_there(self, client, path):
        answer = client.get(f"{API}jobs/{'0' * 32}{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, 2)

    def test_a_segmentation_of_what_is_no_dicom(self, client):
        job = client.post_scan().json()
        client.finished(job)
        answer = client.get(f"{API}jobs/{job['id']}/segmentation")
        assert answer.status_code == 404
        assert "the scan is no DICOM series" in answer.json()["error"]["message"]

    def test_labels_whose_file_is_gone(self, client, folder):
        before = set(folder.rglob("labels.nii.gz"))
        job = client.post_scan().json()
        client.finished(job)
        (labels,) = set(folder.rglob("labels.nii.gz")) - before
        labels.unlink()
        answer = client.get(f"{API}jobs/{job['id']}/labels")
        assert answer.status_code == 404
        assert "no longer here; post the scan again" in answer.json()["error"]["message"]

    def test_a_file_of_several_volumes_leads_to_the_parameter_that_chooses_one(self, client):
        content = nib.Nifti1Image(np.zeros((8, 8, 8, 3), np.int16), np.diag([3.0, 3, 3, 1])).to_bytes()
        answer = client.post_scan(content)
        assert answer.status_code == 422
        assert "got 3; choose one (volume=N, from 0)" in answer.json()["error"]["message"]

    def test_other_paths_and_methods(self, client):
        assert client.get(API + "nothing").json()["error"]["code"] == 2
        assert client.put(API + "jobs").status_code == 405


def test_a_scan_without_memory_for_it_is_answered_with_retry_after(toy_bundle, monkeypatch):
    monkeypatch.setattr("bedside.runtime.memory.memory_limit.free_memory", lambda: 2**20)
    with running(toy_bundle) as client:
        answer = client.post_scan()
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert answer.json()["error"]["code"] == 5
        monkeypatch.undo()
        assert client.post_scan().status_code == 202


def test_memory_is_reserved_from_accepting_to_the_end(toy_bundle, gate):
    from bedside.runtime.memory.reservations import reservations

    with running(toy_bundle) as client:
        before = reservations()._bytes
        jobs = [client.post_scan().json() for _ in range(2)]
        held = reservations()._bytes - before
        client.post(f"{API}jobs/{jobs[1]['id']}/cancel")
        one = reservations()._bytes - before
        assert held == 2 * one > 0
        gate.set()
        client.finished(jobs[0])
        wait_until(lambda: reservations()._bytes == before)


def test_the_queue_has_an_end(toy_bundle, gate):
    with running(toy_bundle, waiting=2) as client:
        assert [client.post_scan().status_code for _ in range(3)] == [202, 202, 503]
        assert client.get("api/v1").json()["waiting"] == 2


def test_several_bundles_answer_by_name(toy, tmp_path):
    first = toy.write_bundle(tmp_path / "first.bedside", toy.task())
    second = toy.write_bundle(tmp_path / "second.bedside", toy.task())
    with running(first, second) as client:
        assert [bundle["name"] for bundle in client.get("api/v1").json()["bundles"]] == ["first", "second"]
        assert client.finished(client.post_scan(bundle="second").json())["bundle"] == "second"
        assert client.finished(client.post_scan().json())["bundle"] == "first"
