"""How a scan is worked through, and what that takes, is known before it starts."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import pytest
from bedside.runtime import Grid, ResourceError, Volume
from bedside.runtime.execution_plan import SLACK, ScanPlan, choose_plan
from bedside.runtime.labels.postprocess import Postprocessing
from bedside.runtime.memory import memory_limit
from bedside.runtime.memory.resident import resident_bytes
from bedside.runtime.preprocessing.preprocess import PREPARING_BYTES
from bedside.runtime.request import SegmentationRequest
from bedside.runtime.scans.scan import Scan
from bedside.runtime.task_presets import PRESETS

TASK = PRESETS["btcv"].replaced(spacing=(1.5, 1.5, 1.5), patch=(96, 96, 96))
GB = 1e9


@dataclass
class LoadedEngine:
    """What is asked of an engine before it runs."""

    parallel: int = 1


def scan_of(shape, codes="RAS", spacing=1.5):
    grid = Grid(shape, np.diag([spacing] * 3 + [1])).reoriented(codes)
    return Scan(Volume(np.broadcast_to(np.int16(0), grid.shape), grid))  # no memory


def chosen(shape, codes="RAS", spacing=1.5, task=TASK, engine=LoadedEngine(), within_body=False, **options):  # noqa: B008
    request = requested(scan_of(shape, codes, spacing), task, within_body)
    return choose_plan(request, engine, **options)


def requested(scan, task=TASK, within_body=False):
    return SegmentationRequest(scan, task, overlap=0.5, postprocessing=Postprocessing(within_body=within_body))


def test_a_small_scan_keeps_full_precision():
    assert chosen((200, 200, 150)).dtype is np.float32


def test_a_large_scan_is_streamed_with_packed_scores():
    one = chosen((512, 512, 824))
    assert one.streamed
    assert one.dtype is np.float16
    assert not one.is_short  # whatever is free
    assert one.bytes <= 1.0 * GB


def test_a_wide_scan_is_worked_through_along_its_longest_axis():
    one = chosen((512, 512, 215))
    assert not one.streamed
    assert one.order.axes[0] in (1, 2)
    assert one.bytes <= 0.7 * GB


def test_a_body_mask_that_is_kept_is_counted_with_a_bit_for_each_voxel():
    without, kept = (chosen((512, 512, 824), within_body=keep) for keep in (False, True))
    assert kept.bytes - without.bytes == pytest.approx(SLACK * 512 * 512 * 824 / 8, abs=2)


def test_the_copy_of_a_volume_whose_gaps_are_filled_is_counted():
    grid = Grid((400, 400, 400), np.diag([1.5, 1.5, 1.5, 1])).reoriented("ASR")  # prepared whole
    volume = Volume(np.broadcast_to(np.float64(0), grid.shape), grid)
    kept, replaced = (choose_plan(requested(Scan(volume, fill)), LoadedEngine()).bytes for fill in (None, 0.0))
    assert kept < (8 + PREPARING_BYTES) * 400**3 < replaced  # float64, and the scan on the task's grid


def test_a_scan_thinner_than_the_window_is_counted_twice_while_it_is_padded():
    one = chosen((720, 720, 62), "LPI", task=TASK.replaced(patch=(64, 64, 64), labels=("background", "organ")))
    assert not one.streamed
    assert one.bytes > SLACK * 9 * 720 * 720 * 64  # float32 before and after, and the body mask


def test_beyond_the_label_map_nothing_grows_with_the_length():
    short, long = (chosen((300, 300, planes)) for planes in (700, 1400))
    assert long.bytes - short.bytes <= SLACK * 1.01 * 300 * 300 * 700


def test_a_limit_makes_the_choice_smaller_until_none_is_left(monkeypatch):
    monkeypatch.setattr(memory_limit, "resident_bytes", lambda: 0)
    free = chosen((256, 256, 300))
    assert (free.dtype, free.is_short) == (np.float32, False)
    tight = chosen((256, 256, 300), memory_limit=free.bytes - 1)
    assert tight.bytes < free.bytes
    assert (tight.dtype, tight.is_short) == (np.float16, True)
    assert [ScanPlan(free).is_short, ScanPlan(tight).is_short, ScanPlan(free, tight).is_short] == [False, True, True]
    with pytest.raises(
        ResourceError,
        match=r"with this scan .* needs about [0-9,]+ MiB, the limit is 95 MiB; raise the limit to [0-9]+",
    ):
        chosen((256, 256, 300), memory_limit=100_000_000)


def test_what_the_process_holds_counts_against_the_limit(monkeypatch):
    least = chosen((256, 256, 300), memory_limit=None).bytes
    monkeypatch.setattr(memory_limit, "resident_bytes", lambda: 10 * least)
    with pytest.raises(ResourceError, match="raise the limit"):
        chosen((256, 256, 300), memory_limit=10 * least)


def test_what_is_not_there_is_refused_without_any_limit(monkeypatch):
    monkeypatch.setattr(memory_limit, "free_memory", lambda: 100_000_000)
    with pytest.raises(ResourceError, match="free memory or crop the scan"):
        chosen((256, 256, 300))


def test_memory_that_will_be_allocated_elsewhere_is_counted():
    limit = chosen((256, 256, 300)).bytes + resident_bytes() + 2**28
    assert chosen((256, 256, 300), memory_limit=limit).bytes
    with pytest.raises(ResourceError):
        chosen((256, 256, 300), memory_limit=limit, reserved=10**9)


def test_every_further_stream_takes_a_windows_logits():
    one, two = (chosen((256, 256, 300), engine=LoadedEngine(parallel)) for parallel in (1, 2))
    assert two.bytes - one.bytes == pytest.approx(SLACK * 4 * (14 + 1) * 96**3, abs=2)


def test_two_passes_take_the_larger_ones_memory_and_the_region_between_them():
    main = chosen((512, 512, 824))
    coarse = chosen(
        (512, 512, 824), task=TASK.replaced(spacing=(6.0,) * 3, patch=(48, 48, 48), labels=("background", "o"))
    )
    assert coarse.windows.shape == (206, 128, 128)
    assert coarse.bytes < main.bytes / 2
    assert ScanPlan(main).bytes == main.bytes
    assert ScanPlan(main, coarse).bytes == main.bytes + 5 * 206 * 128 * 128
    assert ScanPlan(coarse, main).bytes == main.bytes + 5 * 824 * 512 * 512


def test_what_is_written_afterwards_counts_where_it_takes_more_than_the_passes():
    main = chosen((256, 256, 300))
    assert ScanPlan(main, afterwards=1).bytes == main.bytes
    assert ScanPlan(main, afterwards=main.bytes + 1).bytes == main.bytes + 1


@pytest.mark.parametrize("codes", ["RAI", "SRA", "ASR"])
def test_scans_stored_another_way_are_prepared_whole(codes):
    assert not chosen((200, 200, 150), codes).streamed


def sheared(shape):
    affine = np.diag([1.5, 1.5, 1.5, 1])
    affine[2, 1] = 0.5
    return Scan(Volume(np.broadcast_to(np.int16(0), shape), Grid(shape, affine)))


def test_a_sheared_scan_is_prepared_whole_on_the_larger_grid_around_it():
    request = requested(sheared((200, 200, 150)))
    one = choose_plan(request, LoadedEngine())
    assert not one.streamed
    assert one.windows.shape == one.order.sizes(request.grid.shape.dhw)
    straight = chosen((200, 200, 150), "RSA")
    assert one.bytes > straight.bytes


def test_just_enough_memory_gives_the_same_choice_as_plenty(monkeypatch):
    calm = chosen((256, 256, 300))
    monkeypatch.setattr(memory_limit, "free_memory", lambda: calm.bytes + 1)
    assert chosen((256, 256, 300)) == calm


def test_planning_a_scan_of_ninety_thousand_windows_is_quick():
    begun = time.process_time()
    one = chosen((512, 512, 900), task=TASK.replaced(patch=(32, 32, 32)))
    assert len(one.windows) > 50_000
    assert time.process_time() - begun < 2


def test_planning_windows_one_voxel_apart_is_quick():
    begun = time.process_time()
    scan = scan_of((150, 150, 150))
    one = choose_plan(SegmentationRequest(scan, TASK, overlap=0.99), LoadedEngine())
    assert len(one.windows) == 55**3
    assert time.process_time() - begun < 2
