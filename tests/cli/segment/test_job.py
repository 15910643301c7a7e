"""The job of a command is small enough for a worker, and its record names what may change a label."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from bedside.cli.segment.job import SegmentJob
from bedside.runtime import BundleError, Postprocessing, SegmentationOptions
from bedside.runtime.engine_selection.engine_request import EngineRequest
from bedside.runtime.record import Outcome

JOB = SegmentJob(
    bundle=Path("student.bedside"),
    engine=EngineRequest(engine="openvino", precision="int8", threads=4, memory_limit=2**30),
    options=SegmentationOptions(overlap=0.25, postprocessing=Postprocessing()),
)


def _job(bundle, **options):
    engine = EngineRequest(engine="onnxruntime", precision="fp32", threads=1)
    return SegmentJob(bundle=bundle, engine=engine, options=SegmentationOptions(**options))


def test_a_job_reaches_a_worker_whole():
    assert pickle.loads(pickle.dumps(JOB)) == JOB


def test_a_workers_share_of_the_threads_changes_nothing_else():
    share = JOB.with_threads(1)
    assert share.engine == EngineRequest(engine="openvino", precision="int8", threads=1, memory_limit=2**30)
    assert share.for_record() == JOB.for_record()


def test_a_job_goes_on_with_engine_precision_and_device_that_auto_chose():
    earlier = Outcome(finished="", exit_code=0, engine="openvino", precision="int8", device="GPU")
    job = replace(JOB, engine=EngineRequest(precision="fp32", threads=2)).like(earlier)
    assert job.engine == EngineRequest(engine="openvino", precision="fp32", device="GPU", threads=2)


def test_the_device_of_a_label_map_that_does_not_tell_it_stays_auto():
    earlier = Outcome(finished="", exit_code=0, engine="openvino", precision="int8")
    assert JOB.like(earlier).engine.device == "auto"


@pytest.mark.parametrize(("device", "expected"), [("auto", "CPU"), ("CUDA", "CUDA")])
def test_on_several_machines_a_device_that_is_not_named_is_the_cpu(device, expected):
    assert replace(JOB, engine=EngineRequest(device=device)).for_several_machines().engine.device == expected


def test_the_record_holds_no_path_and_nothing_that_leaves_the_labels_alone():
    assert json.dumps(JOB.for_record()) == (
        '{"engine": "openvino", "precision": "int8", "device": "auto", "overlap": 0.25, "skip_air": true, '
        '"use_locator": true, "volume": null, "replace_nan": null, "prefer": null, '
        '"postprocessing": {"largest_component": [], "min_volume_ml": {}, "within_body": false}}'
    )


@pytest.mark.parametrize(("overlap", "skip_air"), [(0.0, True), (0.5, False)])
def test_the_options_reach_the_segmenter(bundle_path, scan, overlap, skip_air):
    job = _job(bundle_path, overlap=overlap, skip_air=skip_air)
    with job.load() as segmenter, segmenter.reserve(scan, job.options) as reserved:
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
