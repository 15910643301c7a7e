"""Requests that are not served: each with its status, the exit code of the family, and one line."""

import gzip

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime import InputError
from bedside.service.refusal import RefusedError

from ..dicom.written_series import other_series, write_series
from .running import API, BYTES, running, scan_bytes, zip_bytes


class TestRefused:
    @pytest.mark.parametrize(
        ("content", "status", "words"),
        [
            (b"x" * 1000, 422, "expected"),
            (b"", 422, "got nothing"),
            (scan_bytes()[:-100], 422, "truncated"),
            (gzip.compress(scan_bytes())[:-5], 202, None),  # the header is sound; the end is found when it is read
            (zip_bytes({"a.txt": b"hello"}), 422, "got a zip of other files"),
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

    def test_several_series_are_listed_with_the_parameters_that_choose_one(self, client, tmp_path):
        hu = np.full((8, 9, 10), -1000, np.int16)
        hu[2:-2, 2:-2, 2:-2] = 0
        write_series(tmp_path / "thin", values=hu)
        write_series(tmp_path / "thick", values=hu[::2], step=(0, 0, 7), change=other_series("1.2.3.4.4"))
        content = zip_bytes({str(number): file.read_bytes() for number, file in enumerate(tmp_path.rglob("*.dcm"))})
        answer = client.post_scan(content)
        assert answer.status_code == 422
        choices = answer.json()["error"]["choices"]
        assert [each["text"] for each in choices] == [
            "series 1: CT, 10×9×4 voxels of 0.9×0.7×7 mm", "series 2: CT, 10×9×8 voxels of 0.9×0.7×2.5 mm"
        ]  # fmt: skip
        shapes = []
        for each in choices:
            ended = client.finished(client.post_scan(content, **{each["parameter"]: each["value"]}).json())
            shapes.append(ended["result"]["shape"])
        assert shapes == [[10, 9, 4], [10, 9, 8]]

    def test_other_refusals_list_no_choices(self, client):
        assert client.post_scan(b"x" * 1000).json()["error"].keys() == {"code", "message"}

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


def test_the_queue_has_an_end(toy_bundle, gate):
    with running(toy_bundle, waiting=2) as client:
        assert [client.post_scan().status_code for _ in range(3)] == [202, 202, 503]
        assert client.get("api/v1").json()["waiting"] == 2


@pytest.mark.parametrize(
    ("error", "status", "retries", "code"),
    [
        (InputError("x"), 422, False, 3),
        (MemoryError(), 503, True, 5),
        (ValueError("x"), 500, False, 1),
        (RefusedError(404, "x", 2), 404, False, 2),
    ],
)
def test_an_error_has_its_status(error, status, retries, code):
    refused = RefusedError.of(error)
    assert refused.status == status
    assert (refused.retry_seconds is not None) == retries
    assert refused.failure.code == code
