"""From loading to closing: a segmenter that is shared, cancelled, closed, and short of memory."""

from __future__ import annotations

import gzip
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime import (
    Cancelled,
    Grid,
    InputError,
    ResourceError,
    Segmenter,
    UsageError,
    Volume,
    execution_plan,
    write_volume,
)
from bedside.runtime.memory import memory_limit, reservations
from bedside.runtime.scans import byte_stream

MIB = 2**20
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])
HU = np.zeros((30, 24, 40), np.int16)
HU[4:24, 5:20, 18:38] = 1000


@pytest.fixture
def seg(bundle_path):
    with Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as opened:
        yield opened


def test_a_closed_segmenter_says_so_before_it_reads_the_scan(seg, tmp_path):
    seg.close()
    with pytest.raises(UsageError, match="the segmenter is closed"):
        seg.segment(tmp_path / "there is no such scan.nii")


def test_closing_while_another_thread_segments_ends_its_call_in_words(seg):
    closing = threading.Thread(target=seg.close)

    def progress(done: int, total: int) -> None:
        if not done:
            closing.start()
            closing.join(20)

    with pytest.raises(UsageError, match="the engine is closed; load the bundle again"):
        seg.segment_array(HU, AFFINE, progress=progress)


def test_a_callback_may_wait_for_the_scan_of_another_thread(seg):
    """As one does that takes a lock of the program which a thread holds that segments."""
    done, small = [], HU[:10, :10, 14:24]

    def wait(*_) -> bool:
        before = len(done)
        other = threading.Thread(target=lambda: done.append(seg.segment_array(small, AFFINE)), daemon=True)
        other.start()
        other.join(30)
        assert len(done) == before + 1
        return False

    assert seg.segment_array(small, AFFINE, progress=wait, cancel=wait).labels.any()


def test_what_is_cancelled_while_it_waits_for_its_plan_is_not_run(seg, monkeypatch):
    planned = []
    plan = type(seg.model).plan
    monkeypatch.setattr(type(seg.model), "plan", lambda *given: planned.append(plan(*given)) or planned[-1])
    with pytest.raises(Cancelled), seg.reserve(Volume(HU, Grid(HU.shape, AFFINE)), cancel=lambda: bool(planned)):
        pytest.fail("the scan was accepted")
    assert len(planned) == 1


class TestCancelling:
    @pytest.mark.parametrize("spacing", [3.0, -3.0], ids=["read as the windows move", "prepared whole"])
    def test_is_asked_for_every_plane_that_is_read(self, seg, tmp_path, spacing):
        """Not only between windows: a long scan is read for seconds before there is one."""
        write_volume(tmp_path / "ct.nii.gz", HU, Grid(HU.shape, np.diag([3.0, 3.0, spacing, 1.0])))
        asked = []

        def cancel() -> bool:
            asked.append(1)
            return len(asked) == 5

        told = []
        with pytest.raises(Cancelled):
            seg.segment(tmp_path / "ct.nii.gz", cancel=cancel, progress=lambda done, total: told.append(done))
        assert sum(told) == 0  # before the first window

    def test_ends_what_another_thread_computes_ahead(self, bundle_path):
        with Segmenter.load(bundle_path, engine="onnxruntime", threads=2) as seg:
            with pytest.raises(ZeroDivisionError):
                seg.segment_array(HU, AFFINE, progress=lambda done, total: done and 1 // 0)
            names = [thread.name for thread in threading.enumerate()]
            assert not [name for name in names if name.startswith("bedside-infer")]


class TestMemory:
    def test_scans_under_way_count_against_each_others_limit(self, bundle_path, monkeypatch):
        """Nothing of it is taken when the second asks: the process seems to hold as little as before the first."""
        held = 100 * MIB
        for module in (memory_limit, reservations):
            monkeypatch.setattr(module, "resident_bytes", lambda: held)
        limit = held + 24 * MIB  # the scan needs some 17 MiB
        with Segmenter.load(bundle_path, engine="onnxruntime", threads=1, memory_limit=limit) as seg:
            told = []

            def second(done: int, total: int) -> None:
                if not done:
                    with pytest.raises(ResourceError, match="the limit is 124 MiB") as caught:
                        seg.segment_array(HU, AFFINE)
                    told.append(str(caught.value))

            first = seg.segment_array(HU, AFFINE, progress=second)
            assert len(told) == 1
            assert np.array_equal(seg.segment_array(HU, AFFINE).labels, first.labels)  # one after the other they fit

    def test_what_was_taken_already_is_not_counted_twice(self, bundle_path, monkeypatch):
        held = [100 * MIB]
        for module in (memory_limit, reservations):
            monkeypatch.setattr(module, "resident_bytes", lambda: held[0])
        limit = held[0] + 40 * MIB
        with Segmenter.load(bundle_path, engine="onnxruntime", threads=1, memory_limit=limit) as seg:

            def second(done: int, total: int) -> None:
                if not done:
                    held[0] += 17 * MIB  # all that the first asked for
                    seg.segment_array(HU, AFFINE)

            seg.segment_array(HU, AFFINE, progress=second)

    def test_an_error_gives_the_promise_back(self, bundle_path, monkeypatch):
        monkeypatch.setattr(reservations, "_reservations", reservations.Reservations())
        with Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as seg:
            with pytest.raises(InputError):
                seg.segment_array(HU * 0, AFFINE)
            assert reservations.reservations()._bytes == 0

    @pytest.mark.parametrize("limit", [1, 2**20])
    def test_a_limit_below_what_is_held_refuses_every_scan(self, bundle_path, limit):
        with (
            Segmenter.load(bundle_path, engine="onnxruntime", threads=1, memory_limit=limit) as seg,
            pytest.raises(ResourceError, match="raise the limit"),
        ):
            seg.segment_array(HU, AFFINE)

    @pytest.mark.parametrize("where", ["segment", "load"])
    def test_want_of_memory_is_a_resource_error(self, bundle_path, monkeypatch, where):
        def full(*_: object, **__: object) -> None:
            raise MemoryError

        if where == "load":
            monkeypatch.setattr("bedside.runtime.opened_model.open_for_bundle", full)
            with pytest.raises(ResourceError, match="memory ran out"):
                Segmenter.load(bundle_path)
            return
        with Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as seg:
            monkeypatch.setattr("bedside.runtime.reserved_scan.ScanPipeline.run", full)
            with pytest.raises(ResourceError, match="memory ran out"):
                seg.segment_array(HU, AFFINE)


class TestAFileThatChanges:
    @pytest.fixture
    def scan(self, tmp_path):
        write_volume(tmp_path / "ct.nii", HU, Grid(HU.shape, AFFINE))
        return tmp_path / "ct.nii"

    def test_is_refused_where_another_took_its_place_behind_the_header(self, seg, scan, tmp_path, monkeypatch):
        """Of the same size, so that only its identity tells: the header's geometry would be put on other voxels."""
        write_volume(tmp_path / "other.nii", HU[::-1], Grid(HU.shape, AFFINE * [-1, 1, 1, 1]))
        real = execution_plan.best_plan

        def choose(*given):
            (tmp_path / "other.nii").replace(scan)
            return real(*given)

        monkeypatch.setattr("bedside.runtime.opened_model.best_plan", choose)
        with pytest.raises(InputError, match=r'"ct\.nii": the file was changed while it was read'):
            seg.segment(scan)

    def test_is_refused_where_it_is_written_to_while_it_is_read(self, seg, scan, monkeypatch):
        real = byte_stream.ByteStream.readinto

        def readinto(stream, buffer):
            real(stream, buffer)
            with scan.open("r+b") as file:
                file.seek(-1, os.SEEK_END)
                file.write(b"\1")
            os.utime(scan, ns=(1, 1))

        monkeypatch.setattr(byte_stream.ByteStream, "readinto", readinto)
        with pytest.raises(InputError, match="changed while it was read"):
            seg.segment(scan)

    def test_that_stays_is_read_twice_where_no_body_is_found(self, seg, tmp_path):
        air = np.full(HU.shape, -1000, np.int16)
        air[3] = -900
        path = tmp_path / "air.nii.gz"
        write_volume(path, air, Grid(HU.shape, AFFINE))
        assert gzip.decompress(path.read_bytes())
        assert "no tissue found" in seg.segment(Path(path)).warnings[0]
