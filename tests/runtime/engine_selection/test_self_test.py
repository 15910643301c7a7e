from __future__ import annotations

import threading

import numpy as np
import pytest
from bedside.runtime import Bundle, BundleError, UsageError, open_engine, write_manifest
from bedside.runtime.bundles.manifest import Variant
from bedside.runtime.engine_selection.self_test import GoldenTest, warm_up


def check_golden(bundle, engine, variant):
    test = GoldenTest.of(bundle)
    for logits in test.run(engine):
        test.check(logits, engine, variant)


class Recorder:
    """An engine of the toy network that notes what it is given; wrong in the streams it is told to be."""

    name, precision, parallel = "recorder", "fp32", 3

    def __init__(self, toy, task, wrong=()):
        self._toy, self._wrong = toy, wrong
        self._all_inside = threading.Barrier(self.parallel, timeout=60)
        self.patch_dhw, self.num_classes = task.patch_dhw, task.num_classes
        self.seen = []

    def infer(self, patches):
        stream = self._all_inside.wait()  # breaks unless all streams are at work at the same time
        self.seen.append(patches)
        logits = self._toy.nearest_mean_logits(patches)
        return logits[:, ::-1].copy() if stream in self._wrong else logits

    def close(self):
        pass


@pytest.fixture
def bundle(bundle_path):
    with Bundle.open(bundle_path) as opened:
        yield opened


def variant(precision="fp32", **known):
    return Variant(precision=precision, engine="onnxruntime", file=f"model.{precision}.onnx", **known)


def test_every_stream_runs_the_golden_patch_at_the_same_time(bundle, toy, task):
    engine = Recorder(toy, task)
    check_golden(bundle, engine, variant())
    assert len(engine.seen) == 3
    assert all(np.array_equal(patch, bundle.array("golden_input.npy")) for patch in engine.seen)


@pytest.mark.parametrize("stream", [0, 1, 2])
def test_one_wrong_stream_fails_the_test(bundle, toy, task, stream):
    with pytest.raises(BundleError, match="self-test with recorder fp32 failed on this machine"):
        check_golden(bundle, Recorder(toy, task, wrong=(stream,)), variant())


def test_warming_up_reaches_every_stream(toy, task):
    engine = Recorder(toy, task)
    warm_up(engine)
    assert [patch.any() for patch in engine.seen] == [False] * 3


def test_nan_fails_the_test(bundle, toy, task):
    engine = Recorder(toy, task)
    broken = np.full((1, 3, *task.patch_dhw), np.nan, np.float32)
    with pytest.raises(BundleError, match="the output holds NaN or infinity; try another engine"):
        GoldenTest.of(bundle).check(broken, engine, variant())


@pytest.mark.parametrize("precision", ["bf16", "int8", "int8-bf16"])
def test_what_is_less_exact_is_held_to_the_labels_not_to_the_logits(bundle, toy, task, precision):
    test = GoldenTest.of(bundle)
    shifted = test.logits + np.float32(5)  # an eighth of the range, and the same labels
    test.check(shifted, Recorder(toy, task), variant(precision, golden_agreement=0.98))
    with pytest.raises(BundleError, match=r"logits differ by 0\.12"):
        test.check(shifted, Recorder(toy, task), variant())


def test_a_golden_patch_of_another_shape_is_refused(toy, tmp_path):
    path = toy.write_bundle(tmp_path / "b", toy.task())
    other = toy.write_bundle(tmp_path / "other", toy.task(patch=(8, 8, 8)))
    (path / "golden_input.npy").write_bytes((other / "golden_input.npy").read_bytes())
    write_manifest(path, toy.manifest(toy.task(), (variant(),)))
    mismatch = r"golden patch: shapes \(1, 1, 8, 8, 8\) → .* are not the model's"
    with Bundle.open(path) as bundle, pytest.raises(BundleError, match=mismatch):
        GoldenTest.of(bundle)


def test_the_test_of_a_closed_engine_says_so(bundle, task):
    engine = open_engine("onnxruntime", bundle.file("model.fp32.onnx"), threads=1)
    engine.close()
    with pytest.raises(UsageError, match="the engine is closed"):
        check_golden(bundle, engine, variant())
