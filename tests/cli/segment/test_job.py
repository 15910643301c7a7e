"""The job of a command is small enough for a worker, and its record names what may change a label."""

import pickle
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
    ("engine", "precision", "expected"),
    [
        ("auto", "auto", ("openvino", "int8")),
        ("auto", "fp32", ("openvino", "fp32")),
        ("onnxruntime", "auto", ("onnxruntime", "int8")),
    ],
)
def test_a_job_goes_on_with_the_engine_and_precision_that_auto_chose(engine, precision, expected):
    earlier = Outcome(finished="", exit_code=0, engine="openvino", precision="int8")
    job = SegmentJob(Path("student.bedside"), engine, precision).like(earlier)
    assert (job.engine, job.precision) == expected


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
