"""A scan over HTTP: accepted, followed, fetched, cancelled, removed, or refused in one line."""

import gzip
import io
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import nibabel as nib
import numpy as np
import pytest
from bedside.runtime import Segmenter
from bedside.service import api
from bedside.service.intake import take_in
from bedside.service.job import Job
from bedside.service.segmenting import SEGMENTATION
from msgspec.structs import replace

from ..dicom.written_series import write_series
from ..vanishing_paths import paths_in
from .running import API, running, scan_bytes, zip_bytes


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

    def test_of_which_a_volume_or_form_was_chosen_comes_back_as_it_was_segmented(self, client, tmp_path):
        first = nib.Nifti1Image.from_bytes(scan_bytes())
        both = np.stack([np.asarray(first.dataobj), np.asarray(first.dataobj) + 7], axis=3)
        image = nib.Nifti1Image(both.astype(np.int16), first.affine)
        moved = first.affine.copy()
        moved[:3, 3] += 40
        image.set_sform(moved, 1)
        image.set_qform(first.affine, 1)
        job = client.post_scan(image.to_bytes(), volume=1, prefer="qform").json()
        assert client.finished(job)["code"] in (0, 6)
        shown = nib.Nifti1Image.from_bytes(gzip.decompress(client.get(f"{API}jobs/{job['id']}/scan").content))
        assert np.array_equal(np.asarray(shown.dataobj), both[..., 1])
        assert np.allclose(shown.affine, first.affine)

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

    @pytest.mark.parametrize("option", [{"series": "7"}, {"fill_gaps": "true"}])
    def test_is_what_its_options_go_with(self, client, option):
        refused = client.post_scan(**option)
        assert refused.status_code == 400
        assert refused.json()["error"]["message"] == "series and fill_gaps go with a DICOM series; this is none"

    def test_is_missed_in_a_zip_of_other_files(self, client):
        refused = client.post_scan(zip_bytes({"ct.nii": scan_bytes()}))
        assert refused.status_code == 422
        assert refused.json()["error"]["message"].startswith(
            "expected a NIfTI file or a zip of DICOM files, got a zip of"
        )

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

    def test_with_what_a_system_leaves_beside_it_is_accepted(self, client, series):
        beside = {"DOE_JANE/.keep": b"", "__MACOSX/DOE_JANE/._IM0": b"\0\5\x16\7" + bytes(116), "DICOMDIR": b""}
        job = client.post_scan(zip_bytes({**series, **beside})).json()
        assert client.finished(job)["state"] == "done"

    def test_leaves_no_name_on_the_disk(self, client, series, folder, gate):
        job = client.post_scan(zip_bytes(series)).json()
        names = " ".join(str(path) for path in folder.rglob("*"))
        assert "00000.dcm" in names
        assert "DOE" not in names
        client.delete(f"{API}jobs/{job['id']}")

    @pytest.mark.parametrize("waits", [False, True])
    def test_that_was_cancelled_has_neither_scan_nor_files_any_more(self, client, series, folder, gate, waits):
        before = paths_in(folder)
        jobs = [client.post_scan(zip_bytes(series)).json() for _ in range(1 + waits)]
        wait_until(lambda: client.get(f"{API}jobs/{jobs[0]['id']}").json()["total"] > 0)
        for job in reversed(jobs):
            client.post(f"{API}jobs/{job['id']}/cancel")
        assert client.finished(jobs[0])["state"] == "cancelled"
        for job in jobs:
            answer = client.get(f"{API}jobs/{job['id']}/scan")
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, 2)
        wait_until(lambda: paths_in(folder) == before)

    def test_is_converted_once_and_in_one_thread_whoever_asks(self, client, series, monkeypatch):
        """Uploads and removals need the other threads of asyncio, which has few."""
        job, other = client.post_scan(zip_bytes(series)).json(), client.post_scan(zip_bytes(series)).json()
        for each in (job, other):
            client.finished(each)
        asked, calls, opened = [], [], threading.Event()
        real_job, real = api.Api._job, api.convert
        monkeypatch.setattr(api.Api, "_job", lambda own, request: asked.append(1) or real_job(own, request))

        def held(converted):
            calls.append("begins")
            opened.wait(60)
            real(converted)
            calls.append("ends")

        monkeypatch.setattr(api, "convert", held)
        urls = [f"{client.base_url}{API}jobs/{each['id']}/scan" for each in (job, other, job, other)]
        with ThreadPoolExecutor(len(urls)) as pool:
            answers = [pool.submit(httpx.get, url, timeout=60) for url in urls]
            wait_until(lambda: len(asked) == len(urls))
            assert client.post_scan().status_code == 202
            opened.set()
            assert {answer.result().status_code for answer in answers} == {200}
        assert calls == ["begins", "ends"] * len(urls)

    def test_is_not_converted_where_the_disk_has_no_room(self, client, series, monkeypatch):
        job = client.post_scan(zip_bytes(series)).json()
        client.finished(job)
        monkeypatch.setattr("bedside.service.disk_room.FREE_BYTES", 2**62)
        assert client.get(f"{API}jobs/{job['id']}/scan").status_code == 503

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
        before = paths_in(folder)
        job = client.post_scan().json()
        assert paths_in(folder) > before
        assert client.delete(f"{API}jobs/{job['id']}").status_code == 204
        assert client.get(f"{API}jobs/{job['id']}").status_code == 404
        wait_until(lambda: paths_in(folder) == before)


class TestAClientThatLeaves:
    def test_before_its_scan_is_accepted_leaves_neither_job_nor_files(self, client, folder, monkeypatch):
        checked, left = threading.Event(), threading.Event()

        def slow(*given):
            take_in(*given)
            checked.set()
            left.wait(30)

        monkeypatch.setattr("bedside.service.api.take_in", slow)
        before, content = paths_in(folder), scan_bytes()
        with socket.create_connection(("127.0.0.1", client.base_url.port)) as leaving:
            head = f"POST /{API}jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/zip\r\n"
            leaving.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)
            assert checked.wait(30)
        client.get("api/v1")  # the service has noticed the end of the connection before it answers this
        left.set()
        wait_until(lambda: paths_in(folder) == before)


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


def test_several_bundles_answer_by_name(toy, tmp_path):
    first = toy.write_bundle(tmp_path / "first.bedside", toy.task())
    second = toy.write_bundle(tmp_path / "second.bedside", toy.task())
    with running(first, second) as client:
        assert [bundle["name"] for bundle in client.get("api/v1").json()["bundles"]] == ["first", "second"]
        assert client.finished(client.post_scan(bundle="second").json())["bundle"] == "second"
        assert client.finished(client.post_scan().json())["bundle"] == "first"
