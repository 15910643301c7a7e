"""With a locator, windows without organ are left out, and nothing changes where there is one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest
from bedside.runtime import BundleError, Cancelled, Grid, Segmenter, UsageError, write_volume

from .located_bundle import ENTRY, write_located_bundle

AIR, FAT, BONE = -1000, 0, 1000
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])


def long_body(bones=True):
    """A body of fat, 40 × 24 × 120 voxels, with bone in its middle: planes 56 to 63."""
    hu = np.full((40, 24, 120), AIR, np.int16)
    hu[2:38, 2:22] = FAT
    if bones:
        hu[16:24, 8:16, 56:64] = BONE
    return hu


@pytest.fixture
def path(tmp_path, toy, task):
    return write_located_bundle(tmp_path / "located.bedside", toy, task)


@pytest.fixture
def seg(path):
    with Segmenter.load(path, engine="onnxruntime", threads=1) as opened:
        yield opened


def test_windows_far_from_every_organ_are_left_out_and_organs_keep_their_labels(seg):
    hu = long_body()
    located, all_windows = (seg.segment_array(hu, AFFINE, use_locator=use) for use in (True, False))
    assert all_windows.windows_without_organ == 0
    assert located.windows + located.windows_without_organ == all_windows.windows
    assert located.windows_skipped == all_windows.windows_skipped
    assert 0 < located.windows < all_windows.windows // 3
    assert np.array_equal(located.labels == 2, hu == BONE)
    near = slice(54, 66)  # bone and the margin of 6 mm: all windows that cover these planes of its columns have run
    assert np.array_equal(located.labels[14:26, 6:18, near], all_windows.labels[14:26, 6:18, near])
    assert not located.labels[:, :, :30].any()  # fat, in windows left out
    assert (located.timings["locate"] > 0, all_windows.timings["locate"]) == (True, 0)
    assert located.warnings == ()


def test_a_scan_without_organ_takes_the_coarse_pass_alone_and_says_so(seg, monkeypatch):
    def infer(patches):
        raise AssertionError("a window of the student ran")

    monkeypatch.setattr(seg.engine, "infer", infer)
    seen = []
    result = seg.segment_array(long_body(bones=False), AFFINE, progress=lambda done, total: seen.append((done, total)))
    assert not result.labels.any()
    assert (result.windows, result.volumes_ml) == (0, {"fat": 0, "bone": 0})
    assert result.windows_without_organ == 4 * 3 * 15
    assert result.warnings[0].startswith("the locator found no organ of the task in the scan, so no window was run")
    assert seen[-1][0] == seen[-1][1]


def test_a_streamed_file_gives_the_same_labels(seg, tmp_path):
    write_volume(tmp_path / "ct.nii.gz", long_body(), Grid((40, 24, 120), AFFINE))
    result = seg.segment(tmp_path / "ct.nii.gz")
    assert np.array_equal(result.labels, seg.segment_array(long_body(), AFFINE).labels)
    assert result.windows_without_organ > 0


def test_progress_counts_the_locators_windows_too(seg):
    seen = []
    result = seg.segment_array(long_body(), AFFINE, progress=lambda done, total: seen.append((done, total)))
    total = seen[0][1]
    coarse = total - result.windows - result.windows_skipped - result.windows_without_organ
    assert coarse == 3 * 2 * 10  # 20 × 12 × 60 voxels of 6 mm in windows of 8 that overlap by 2
    assert [done for done, _ in seen] == [*range(coarse + 1), *range(coarse, total + 1)]


def test_cancelling_stops_the_coarse_pass(seg):
    seen = []
    with pytest.raises(Cancelled):
        seg.segment_array(long_body(), AFFINE, progress=lambda done, _: seen.append(done), cancel=lambda: 3 in seen)
    assert seen[-1] == 3


def test_threads_share_one_segmenter(seg):
    scans = [long_body(), np.flip(long_body(), 0).copy(), long_body(bones=False)]
    alone = [seg.segment_array(scan, AFFINE).labels for scan in scans]
    barrier = threading.Barrier(3)

    def segmented(scan):
        barrier.wait(20)
        return seg.segment_array(scan, AFFINE).labels

    with ThreadPoolExecutor(3) as pool:
        assert all(np.array_equal(*pair) for pair in zip(alone, pool.map(segmented, scans), strict=True))


def test_where_the_locator_fails_all_windows_run_with_a_warning(seg, monkeypatch):
    locator = seg._model.locator.engine
    infer = locator.infer
    monkeypatch.setattr(locator, "infer", lambda patches: infer(patches) * np.nan)
    result = seg.segment_array(long_body(), AFFINE)
    assert result.windows_without_organ == 0
    assert result.warnings == ("the locator returned NaN or infinity, so all windows were run",)


def test_a_scan_without_body_is_searched_whole(seg):
    result = seg.segment_array(np.where(long_body() == BONE, -600, -900).astype(np.int16), AFFINE)
    assert "no tissue found" in result.warnings[0]
    assert "the locator found no organ" in result.warnings[-2]


def test_the_locator_must_repeat_its_golden_patch(tmp_path, toy, task):
    path = write_located_bundle(tmp_path / "b", toy, task, golden_shift=3.0)
    with pytest.raises(BundleError, match="self-test with onnxruntime fp32 failed"):
        Segmenter.load(path, engine="onnxruntime", threads=1)
    Segmenter.load(path, engine="onnxruntime", threads=1, self_test=False).close()


def test_a_network_that_is_no_locator_is_refused(tmp_path, toy, task):
    path = write_located_bundle(tmp_path / "b", toy, task, msgspec.structs.replace(ENTRY, file="model.fp32.onnx"))
    with pytest.raises(BundleError, match=r"model\.fp32\.onnx"):
        Segmenter.load(path, engine="onnxruntime", threads=1)


def test_a_closed_segmenter_has_closed_its_locator(path):
    segmenter = Segmenter.load(path, engine="onnxruntime", threads=1)
    segmenter.close()
    with pytest.raises(UsageError, match="closed"):
        segmenter._model.locator.engine.infer(np.zeros((1, 1, 8, 8, 8), np.float32))
