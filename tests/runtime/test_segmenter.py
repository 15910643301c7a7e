from __future__ import annotations

import threading
import time

import nibabel as nib
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
    read_labels,
)
from bedside.runtime.memory.reservations import reservations
from bedside.runtime.opened_model import OpenedModel

AIR, FAT, BONE = -1000, 0, 1000
AFFINE = np.diag([3.0, 3.0, 3.0, 1.0])


def phantom(shape=(30, 24, 40)):
    """A fat block in air with a bone block in it; the labels are its HU by eye: 0, 1, 2."""
    hu = np.full(shape, AIR, np.int16)
    hu[4:24, 5:20, 18:38] = FAT
    hu[8:12, 9:15, 25:33] = BONE
    return hu, np.searchsorted([AIR, FAT, BONE], hu).astype(np.uint8)


@pytest.fixture(params=["openvino", "onnxruntime"])
def loaded(request, bundle_path):
    with Segmenter.load(bundle_path, engine=request.param, threads=1) as opened:
        yield opened


@pytest.fixture
def seg(bundle_path):
    with Segmenter.load(bundle_path, engine="onnxruntime", threads=1) as opened:
        yield opened


def test_labels_are_the_tissue_of_each_voxel(loaded):
    hu, truth = phantom()
    result = loaded.segment_array(hu, AFFINE)
    assert result.labels.dtype == np.uint8
    assert np.array_equal(result.labels, truth)
    assert (result.engine, result.precision, result.device) == (loaded.engine.name, "fp32", loaded.engine.device)
    assert not result.needs_review


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
def test_overlap_does_not_move_labels(seg, overlap):
    hu, truth = phantom()
    assert np.array_equal(seg.segment_array(hu, AFFINE, overlap=overlap).labels, truth)


@pytest.mark.parametrize("codes", ["LPS", "SRA", "PIR", "ALI"])
def test_labels_lie_on_the_inputs_own_axes(seg, codes):
    hu, truth = phantom()
    turned = nib.Nifti1Image(hu, AFFINE)
    turned = turned.as_reoriented(
        nib.orientations.ornt_transform(nib.io_orientation(AFFINE), nib.orientations.axcodes2ornt(codes))
    )
    result = seg.segment_array(np.asarray(turned.dataobj), turned.affine)
    back = nib.Nifti1Image(result.labels, result.affine).as_reoriented(nib.io_orientation(result.affine))
    assert np.array_equal(result.affine, turned.affine)
    assert np.array_equal(np.asarray(back.dataobj), truth)


def test_another_spacing_gives_labels_on_the_inputs_grid(seg):
    hu, truth = phantom((60, 48, 40))
    fine = np.diag([1.5, 2.0, 3.0, 1.0])
    result = seg.segment_array(hu, fine)
    assert result.labels.shape == hu.shape
    assert np.array_equal(result.affine, fine)
    assert (result.labels == truth).mean() > 0.98


@pytest.mark.parametrize("shape", [(5, 5, 5), (40, 5, 7), (1, 1, 2)])
def test_a_scan_smaller_than_the_window_is_padded_with_air(seg, shape):
    hu = np.full(shape, FAT, np.int16)
    hu.flat[0] = AIR
    labels = seg.segment_array(hu, AFFINE, skip_air=False).labels
    assert np.array_equal(labels, (hu == FAT).astype(np.uint8))


def test_windows_of_air_are_skipped_and_change_nothing(seg):
    hu, truth = phantom((30, 24, 90))
    skipping, all_of_it = (seg.segment_array(hu, AFFINE, skip_air=skip) for skip in (True, False))
    assert skipping.windows + skipping.windows_skipped == all_of_it.windows
    assert skipping.windows_skipped >= all_of_it.windows // 3
    assert all_of_it.windows_skipped == 0
    assert np.array_equal(skipping.labels, truth)
    assert np.array_equal(all_of_it.labels, truth)


def test_volumes_are_voxels_times_27_cubic_millimetres(seg):
    hu, _ = phantom()  # bone 4·6·8 = 192 voxels, fat 20·15·20 − 192 = 5808
    assert seg.segment_array(hu, AFFINE).volumes_ml == pytest.approx({"fat": 156.816, "bone": 5.184})


def test_timings_name_every_stage_and_add_up(seg):
    hu, _ = phantom()
    begun = time.perf_counter()
    timings = seg.segment_array(hu, AFFINE).timings
    wall = (time.perf_counter() - begun) * 1000
    assert list(timings) == ["read", "preprocess", "plan", "locate", "infer", "blend", "restore"]
    assert min(timings.values()) >= 0
    assert timings["infer"] > 0
    assert wall / 3 < sum(timings.values()) <= wall  # no moment counted twice


def test_progress_counts_from_nothing_to_all(seg):
    seen = []
    result = seg.segment_array(phantom()[0], AFFINE, progress=lambda done, total: seen.append((done, total)))
    total = result.windows + result.windows_skipped
    assert result.windows_skipped > 0
    assert seen == [(done, total) for done in range(total + 1)]


def test_cancel_stops_before_the_next_window(seg):
    done = []
    with pytest.raises(Cancelled):
        seg.segment_array(phantom()[0], AFFINE, progress=lambda d, _: done.append(d), cancel=lambda: 3 in done)
    assert done == [0, 1, 2, 3]


def test_cancel_is_asked_before_the_scan_is_read(seg, tmp_path):
    with pytest.raises(Cancelled):
        seg.segment(tmp_path / "not there.nii.gz", cancel=lambda: True)


def test_a_file_becomes_a_file_on_the_same_grid(seg, tmp_path):
    hu, truth = phantom()
    nib.save(nib.Nifti1Image(hu, AFFINE), tmp_path / "ct.nii.gz")
    seg.segment(tmp_path / "ct.nii.gz").save(tmp_path / "labels.nii.gz")
    written = read_labels(tmp_path / "labels.nii.gz")
    assert written.grid == Grid(hu.shape, AFFINE)
    assert np.array_equal(written.data, truth)
    assert sorted(path.name for path in tmp_path.glob("*.nii.gz")) == ["ct.nii.gz", "labels.nii.gz"]


def test_an_empty_result_needs_review(seg):
    hu = np.full((20, 20, 20), AIR, np.int16)
    hu[0, 0, 0] = -900  # air too, but not one single value
    result = seg.segment_array(hu, AFFINE)
    assert result.needs_review
    assert "the result is empty: no voxel was labelled" in result.warnings


def test_nan_is_refused_or_replaced_and_told(seg):
    hu, truth = phantom()
    with_nan = hu.astype(np.float32)
    with_nan[0, 0, :3] = np.nan
    with pytest.raises(InputError, match="got NaN or Inf in plane 1 of 40"):
        seg.segment_array(with_nan, AFFINE)
    result = seg.segment_array(with_nan, AFFINE, replace_nan=AIR)
    assert result.warnings == ("3 voxels that were NaN or Inf replaced by -1000",)
    assert result.needs_review
    assert np.array_equal(result.labels, truth)
    assert np.isnan(with_nan[0, 0, 0])  # the caller's array stays as it was


def test_nan_from_the_network_needs_review_and_labels_nothing(toy, task, tmp_path):
    model = toy.conv_model(np.full((3, 1, 1, 1, 1), np.nan, np.float32), np.zeros(3, np.float32), task.patch.dhw)
    path = toy.write_bundle(tmp_path / "nan.bedside", task, model)
    with Segmenter.load(path, "onnxruntime", threads=1, self_test=False) as opened:
        result = opened.segment_array(phantom()[0], AFFINE)
    assert result.needs_review
    assert result.warnings[0].startswith(
        f"the network returned NaN or infinity in {result.windows} of {result.windows}"
    )
    assert result.windows_not_finite == result.windows > 0
    assert not result.labels.any()


def test_two_threads_share_one_segmenter(loaded):
    scans = [phantom(), phantom((24, 30, 44))]
    same = []

    def work(hu, truth):
        same.extend(np.array_equal(loaded.segment_array(hu, AFFINE).labels, truth) for _ in range(5))

    threads = [threading.Thread(target=work, args=scan) for scan in scans]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same == [True] * 10


def test_a_scan_over_the_memory_limit_is_refused_before_it_starts(bundle_path):
    hu, truth = phantom()
    with (
        Segmenter.load(bundle_path, "onnxruntime", threads=1, memory_limit=10 * 2**20) as tight,
        pytest.raises(ResourceError, match=r"with this scan the process needs about [0-9,]+ MiB, the limit is 10 MiB"),
    ):
        tight.segment_array(hu, AFFINE)
    with Segmenter.load(bundle_path, "onnxruntime", threads=1, memory_limit=100 * 2**30) as roomy:
        assert np.array_equal(roomy.segment_array(hu, AFFINE).labels, truth)


def test_int8_is_there_when_asked_for(bundle_path):
    with Segmenter.load(bundle_path, "onnxruntime", "int8", threads=1) as opened:
        assert opened.segment_array(phantom()[0], AFFINE).precision == "int8"


def test_engine_precision_and_device_are_named_in_upper_or_lower_case(bundle_path):
    with Segmenter.load(bundle_path, "ONNXRuntime", "INT8", threads=1, device="cpu") as opened:
        setting = opened.choice.setting
        assert (setting.engine, setting.precision, setting.device) == ("onnxruntime", "int8", "CPU")
        assert (opened.engine.name, opened.engine.precision, opened.engine.device) == ("onnxruntime", "int8", "CPU")


def test_unknown_precision_is_refused(bundle_path):
    with pytest.raises(
        UsageError, match='precision: expected auto, fp32, fp16, bf16, int8, uint8, int8-fp16, int8-bf16, got "fp8"'
    ):
        Segmenter.load(bundle_path, precision="fp8")


def test_overlap_of_one_is_refused(seg):
    with pytest.raises(UsageError, match="overlap"):
        seg.segment_array(phantom()[0], AFFINE, overlap=1.0)


def test_file_options_with_a_volume_in_memory_are_refused(seg):
    hu, _ = phantom()
    with pytest.raises(UsageError, match="open already"):
        seg.segment(Volume(hu, Grid(hu.shape, AFFINE)), volume=1)


def test_a_closed_segmenter_says_so(bundle_path):
    opened = Segmenter.load(bundle_path, "onnxruntime", threads=1)
    opened.close()
    opened.close()
    with pytest.raises(UsageError, match="closed"):
        opened.segment_array(phantom()[0], AFFINE)


class TestReserve:
    def test_holds_the_memory_of_an_accepted_scan_until_the_block_ends(self, seg):
        hu, truth = phantom()
        before = reservations()._bytes
        with seg.reserve(Volume(hu, Grid(hu.shape, AFFINE))) as reserved:
            assert reservations()._bytes == before + reserved.bytes > before
            assert np.array_equal(reserved.run().labels, truth)
        assert reservations()._bytes == before

    def test_refuses_a_second_scan_that_would_need_what_the_first_one_holds(self, seg, monkeypatch):
        hu, _ = phantom()
        scan = Volume(hu, Grid(hu.shape, AFFINE))
        with seg.reserve(scan) as first:
            monkeypatch.setattr("bedside.runtime.memory.memory_limit.free_memory", lambda: int(1.5 * first.bytes))
            with pytest.raises(ResourceError, match="free memory"), seg.reserve(scan):
                pass
        with seg.reserve(scan):
            pass

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ({"options": 0.5}, "options: expected a SegmentationOptions, got 0.5"),
            ({"cancel": True}, "cancel: expected a function cancel() that says whether to stop, got True"),
            ({"afterwards": -1}, "afterwards: expected a whole number from 0 up, got -1"),
        ],
    )
    def test_a_wrong_argument_is_refused_although_the_scan_is_missing(self, seg, tmp_path, given, told):
        with pytest.raises(UsageError) as caught, seg.reserve(tmp_path / "none.nii", **given):
            pass
        assert str(caught.value) == told

    def test_what_is_cancelled_meanwhile_is_not_segmented(self, seg):
        stop = threading.Event()
        hu, _ = phantom()
        with seg.reserve(Volume(hu, Grid(hu.shape, AFFINE)), cancel=stop.is_set) as reserved:
            stop.set()
            with pytest.raises(Cancelled):
                reserved.run()

    def test_what_is_cancelled_while_it_waits_for_other_plans_is_not_planned(self, seg, monkeypatch):
        monkeypatch.setattr(OpenedModel, "plan", lambda *_: pytest.fail("planned"))
        asked = iter([False, True])  # before the scan is opened, before it is planned
        with pytest.raises(Cancelled):
            seg.segment_array(phantom()[0], AFFINE, cancel=lambda: next(asked))

    def test_a_closed_segmenter_runs_nothing(self, bundle_path):
        hu, _ = phantom()
        segmenter = Segmenter.load(bundle_path, engine="onnxruntime", threads=1)
        with segmenter.reserve(Volume(hu, Grid(hu.shape, AFFINE))) as reserved:
            segmenter.close()
            with pytest.raises(UsageError, match="closed"):
                reserved.run()

    def test_what_follows_the_segmentation_is_reserved_beside_the_label_map(self, seg, monkeypatch):
        hu, _ = phantom()
        scan, before = Volume(hu, Grid(hu.shape, AFFINE)), reservations()._bytes
        with seg.reserve(scan, afterwards=1) as reserved:  # the accumulators' memory is free by then
            assert reservations()._bytes == before + reserved.bytes
        more = reserved.bytes + 1000
        with seg.reserve(scan, afterwards=more) as reserved:
            assert reservations()._bytes == before + hu.size + more
        monkeypatch.setattr("bedside.runtime.memory.memory_limit.free_memory", lambda: int(1.5 * reserved.bytes))
        with pytest.raises(ResourceError, match="free memory"), seg.reserve(scan, afterwards=2 * more):
            pass
        assert reservations()._bytes == before
