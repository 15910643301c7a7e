"""Hostile uploads, slow clients, no token: each is refused, leaves nothing behind, and others are served meanwhile."""

import time
from concurrent.futures import ThreadPoolExecutor
from random import Random

import psutil

from ..service.running import API, running, scan_bytes
from .hostile_uploads import FILES, GRACE, KINDS, TOKEN, UNPACKED_BYTES, UPLOAD_BYTES, Request, answered, post

LIMITS = {
    "token": TOKEN, "upload_bytes": UPLOAD_BYTES, "unpacked_bytes": UNPACKED_BYTES, "files": FILES,
    "grace_seconds": GRACE, "header_seconds": 1.0, "answer_seconds": 5.0,
}  # fmt: skip
BONE_ML = 27 * 0.027


def served(client):
    """Whether an honest scan gives its volumes."""
    posted = client.post_scan()
    assert posted.status_code == 202, posted.text
    ended = client.finished(posted.json())
    assert abs(ended["result"]["volumes_ml"]["bone"] - BONE_ML) < 1e-9
    assert client.delete(f"{API}jobs/{ended['id']}").status_code == 204


def test_30_hostile_requests_are_refused_and_others_served(bundle_path, tmp_path, trials, count):
    (folder := tmp_path / "scans").mkdir()
    with running(bundle_path, folder=folder, **LIMITS) as client:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        served(client)
        port = client.base_url.port
        (own,) = folder.iterdir()
        process = psutil.Process()
        memory, descriptors = process.memory_info().rss, process.num_fds()
        for trial in range(max(len(KINDS), trials(500))):
            kind = KINDS[trial % len(KINDS)]
            request = kind(Random(trial))
            status = answered(port, request)
            assert status in request.statuses, (kind.__name__, trial, status)
            count[f"{kind.__name__.strip('_')} refused"] += 1
            if trial % 5 == 0:
                served(client)
                count["honest scans served"] += 1
        end = time.monotonic() + 20
        while client.get("api/v1").json()["waiting"] or list(own.iterdir()):
            assert time.monotonic() < end, list(own.iterdir())
            time.sleep(0.05)
        assert process.memory_info().rss - memory < 200 * 2**20
        assert process.num_fds() <= descriptors + 2
    assert list(folder.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scans", "toy.bedside"]


def test_30_honest_scans_are_served_while_slow_clients_hold_on(bundle_path, count):
    slow = [Request(post(b"x", length=10**6), (408, 0, 503), trickle=True)] * 6
    slow += [Request(post(b"")[:30], (0, 400), trickle=True)] * 20
    limits = {**LIMITS, "grace_seconds": 3.0, "header_seconds": 3.0}
    with running(bundle_path, **limits) as client, ThreadPoolExecutor(len(slow)) as pool:
        client.headers["Authorization"] = f"Bearer {TOKEN}"
        ends = [pool.submit(answered, client.base_url.port, request) for request in slow]
        time.sleep(0.5)
        for _ in range(3):
            served(client)
            count["honest scans served"] += 1
        for request, end in zip(slow, ends, strict=True):
            assert end.result() in request.statuses
            count["slow clients ended"] += 1


def test_30_the_trials_would_see_a_request_that_is_served(bundle_path):
    with running(bundle_path, **LIMITS) as client:
        assert answered(client.base_url.port, Request(post(scan_bytes()), (422,))) == 202
