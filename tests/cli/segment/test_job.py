"""The job of a command is small enough for a worker, and its record names what may change a label."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from bedside.cli.segment.job import SegmentJob
from bedside.runtime import BundleError
from bedside.runtime.labels.postprocess import Postprocessing
from bedside.runtime.record import Outcome

JOB = SegmentJob(Path("student.bedside"), "openvino", "int8", 4, 2**30, 0.25, postprocessing=Postprocessing())


def test_a_job_reaches_a_worker_whole():
    assert pickle.loads(pickle.dumps(JOB)) == JOB


def test_a_workers_share_of_the_threads_changes_nothing_else():
    share = JOB.with_threads(1)
    assert (share.threads, share.memory_limit, share.options) == (1, 2**30, JOB.options)


@pytest.mark.parametrize(
    ("engine", "precision", "device", "expected"),
    [
        ("auto", "auto", "auto", ("openvino", "int8", "GPU")),
        ("auto", "fp32", "CPU", ("openvino", "fp32", "CPU")),
        ("onnxruntime", "auto", "CPU", ("onnxruntime", "int8", "CPU")),
        ("onnxruntime", "fp32", "auto", ("onnxruntime", "fp32", "GPU")),
    ],
)
def test_a_job_goes_on_with_engine_precision_and_device_that_auto_chose(engine, precision, device, expected):
    earlier = Outcome(finished="", exit_code=0, engine="openvino", precision="int8", device="GPU")
    job = SegmentJob(Path("student.bedside"), engine, precision, device=device).like(earlier)
    assert (job.engine, job.precision, job.device) == expected


def test_the_device_of_a_label_map_that_does_not_tell_it_stays_auto():
    earlier = Outcome(finished="", exit_code=0, engine="openvino", precision="int8")
    assert JOB.like(earlier).device == "auto"


@pytest.mark.parametrize(("device", "expected"), [("auto", "CPU"), ("CUDA", "CUDA")])
def test_on_several_machines_a_device_that_is_not_named_is_the_cpu(device, expected):
    assert replace(JOB, device=device).for_several_machines() == replace(JOB, device=expected)


def test_the_record_holds_no_path_and_nothing_that_leaves_the_labels_alone():
    assert set(JOB.options) == {
        "engine", "precision", "device", "overlap", "skip_air", "use_locator", "volume", "replace_nan", "prefer",
        "postprocessing",
    }  # fmt: skip
    assert JOB.options["postprocessing"] == {"largest_component": [], "min_volume_ml": {}, "within_body": False}


@pytest.mark.parametrize(("overlap", "skip_air"), [(0.0, True), (0.5, False)])
def test_the_options_reach_the_segmenter(bundle_path, scan, overlap, skip_air):
    job = SegmentJob(bundle_path, "onnxruntime", "fp32", 1, overlap=overlap, skip_air=skip_air)
    with job.load() as segmenter, job.reserve(segmenter, scan) as reserved:
        result = reserved.run()
    assert result.volumes_ml["fat"] == pytest.approx(27.0)
    assert (result.windows_skipped == 0) or skip_air


def test_another_bundle_in_the_place_of_the_named_one_is_refused(toy, task, bundle_path, tmp_path):
    with SegmentJob(bundle_path, "onnxruntime", "fp32", 1).load() as segmenter:
        job = SegmentJob(bundle_path, "onnxruntime", "fp32", 1, bundle_sha256=segmenter.bundle.sha256)
    job.load().close()
    bundle_path.rename(tmp_path / "former.bedside")
    toy.write_bundle(bundle_path, task.replaced(anatomy="other"))
    with pytest.raises(BundleError, match=r'"toy\.bedside" was replaced since the run began'):
        job.load()
