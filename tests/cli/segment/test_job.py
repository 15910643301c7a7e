"""The job of a command is small enough for a worker, and its record names what may change a label."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from bedside.cli.segment.job import SegmentJob
from bedside.runtime import BundleError, Postprocessing, SegmentationOptions
from bedside.runtime.record import Outcome

JOB = SegmentJob(
    bundle=Path("student.bedside"),
    options=SegmentationOptions(overlap=0.25, postprocessing=Postprocessing()),
    engine="openvino",
    precision="int8",
    threads=4,
    memory_limit=2**30,
)


def _job(bundle, **options):
    given = SegmentationOptions(**options)
    return SegmentJob(bundle=bundle, options=given, engine="onnxruntime", precision="fp32", threads=1)


def test_a_job_reaches_a_worker_whole():
    assert pickle.loads(pickle.dumps(JOB)) == JOB


def test_a_workers_share_of_the_threads_changes_nothing_else():
    share = JOB.with_threads(1)
    assert (share.threads, share.memory_limit, share.for_record()) == (1, 2**30, JOB.for_record())


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
    job = replace(JOB, engine=engine, precision=precision, device=device).like(earlier)
    assert (job.engine, job.precision, job.device) == expected


def test_the_device_of_a_label_map_that_does_not_tell_it_stays_auto():
    earlier = Outcome(finished="", exit_code=0, engine="openvino", precision="int8")
    assert JOB.like(earlier).device == "auto"


@pytest.mark.parametrize(("device", "expected"), [("auto", "CPU"), ("CUDA", "CUDA")])
def test_on_several_machines_a_device_that_is_not_named_is_the_cpu(device, expected):
    assert replace(JOB, device=device).for_several_machines() == replace(JOB, device=expected)


def test_the_record_holds_no_path_and_nothing_that_leaves_the_labels_alone():
    assert json.dumps(JOB.for_record()) == (
        '{"engine": "openvino", "precision": "int8", "device": "auto", "overlap": 0.25, "skip_air": true, '
        '"use_locator": true, "volume": null, "replace_nan": null, "prefer": null, '
        '"postprocessing": {"largest_component": [], "min_volume_ml": {}, "within_body": false}}'
    )


@pytest.mark.parametrize(("overlap", "skip_air"), [(0.0, True), (0.5, False)])
def test_the_options_reach_the_segmenter(bundle_path, scan, overlap, skip_air):
    job = _job(bundle_path, overlap=overlap, skip_air=skip_air)
    with job.load() as segmenter, job.reserve(segmenter, scan) as reserved:
        result = reserved.run()
    assert result.volumes_ml["fat"] == pytest.approx(27.0)
    assert (result.windows_skipped == 0) or skip_air


def test_another_bundle_in_the_place_of_the_named_one_is_refused(toy, task, bundle_path, tmp_path):
    with _job(bundle_path).load() as segmenter:
        job = replace(_job(bundle_path), bundle_sha256=segmenter.bundle.sha256)
    job.load().close()
    bundle_path.rename(tmp_path / "former.bedside")
    toy.write_bundle(bundle_path, task.replaced(anatomy="other"))
    with pytest.raises(BundleError, match=r'"toy\.bedside" was replaced since the run began'):
        job.load()
