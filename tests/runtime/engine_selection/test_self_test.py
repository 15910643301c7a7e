from __future__ import annotations

import threading

import numpy as np
import pytest
from bedside.runtime import Bundle, BundleError, Segmenter, UsageError, open_engine, write_manifest
from bedside.runtime.bundles.figures import Parity
from bedside.runtime.bundles.golden_files import Golden
from bedside.runtime.bundles.variant import Variant
from bedside.runtime.engine_selection.self_test import GoldenTest, warm_up
from bedside.runtime.labels.probabilities import softmax, to_levels


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
        self.patch_dhw, self.num_classes = task.patch.dhw, task.num_classes
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
    broken = np.full((1, 3, *task.patch.dhw), np.nan, np.float32)
    with pytest.raises(BundleError, match="the output holds NaN or infinity; try another engine"):
        GoldenTest.of(bundle).check(broken, engine, variant())


@pytest.mark.parametrize("precision", ["bf16", "int8", "int8-bf16"])
def test_what_is_less_exact_is_held_to_the_labels_not_to_the_probabilities(bundle, toy, task, precision):
    test = GoldenTest.of(bundle)
    sharper = 2 * toy.nearest_mean_logits(test.patch)  # the same labels
    test.check(sharper, Recorder(toy, task), variant(precision, golden_agreement=0.98))
    with pytest.raises(BundleError, match=r"a probability differs by 0\.\d+, expected at most 0\.02"):
        test.check(sharper, Recorder(toy, task), variant())


def test_rounded_to_levels_the_own_probabilities_pass(bundle, toy, task):
    test = GoldenTest.of(bundle)
    assert (test.patch.dtype, test.probabilities.dtype) == (np.float32, np.uint8)
    test.check(toy.nearest_mean_logits(test.patch), Recorder(toy, task), variant())


@pytest.fixture
def flat(toy, task, tmp_path):
    """The bundle of a network that has learned next to nothing, and its logits: class 1 leads by 0.001 throughout."""
    path = toy.write_bundle(tmp_path / "flat", task)
    logits = np.zeros((1, 3, *task.patch.dhw), np.float32)
    logits[:, 1] += 0.001
    np.save(path / "golden_output.npy", to_levels(softmax(logits[0])))  # 85 of 255 for each class
    np.save(path / "golden_labels.npy", np.ones(task.patch.dhw, np.uint8))
    write_manifest(path, toy.manifest(task, (variant(),)))
    return path, logits


@pytest.mark.parametrize(("voxels", "passes"), [(0, True), (1, False)])
def test_the_labels_are_compared_also_where_the_classes_are_equally_probable(flat, toy, task, voxels, passes):
    path, logits = flat
    logits[:, 2, 0, 0, :voxels] += 0.002  # one of 1,536 voxels is more than 0.01 %
    with Bundle.open(path) as bundle:
        test = GoldenTest.of(bundle)
        if passes:
            test.check(logits, Recorder(toy, task), variant())
        else:
            with pytest.raises(BundleError, match=r"0\.99935 of the labels agree, expected at least 0\.9999"):
                test.check(logits, Recorder(toy, task), variant())


def test_classes_of_a_flat_network_in_another_order_are_noticed(flat, toy, task):
    path, logits = flat
    with Bundle.open(path) as bundle, pytest.raises(BundleError, match=r"0\.00000 of the labels agree"):
        GoldenTest.of(bundle).check(logits[:, ::-1][:, [1, 0, 2]], Recorder(toy, task), variant())


def test_a_lower_precision_is_compared_with_the_labels_as_export_compared_it(flat, toy, task):
    path, logits = flat
    logits[:, 2, :2] += 0.002  # a quarter of the voxels
    int8 = variant("int8", golden_agreement=0.75)
    with Bundle.open(path) as bundle:
        test = GoldenTest.of(bundle)
        test.check(logits, Recorder(toy, task), int8)
        logits[:, 2, :3] += 0.002
        with pytest.raises(BundleError, match=r"0\.62500 of the labels agree, expected at least 0\.7300"):
            test.check(logits, Recorder(toy, task), int8)


def test_in_bundles_of_version_3_either_label_agrees_where_two_classes_are_equally_probable(flat, toy, task):
    path, logits = flat
    (path / "golden_labels.npy").unlink()
    write_manifest(path, toy.manifest(task, (variant(),), golden=Golden()))
    with Bundle.open(path) as bundle:
        test = GoldenTest.of(bundle)
        assert test.labels is None
        test.check(logits[:, ::-1][:, [1, 0, 2]], Recorder(toy, task), variant())
        with pytest.raises(BundleError, match=r"a probability differs by 0\.\d+"):
            test.check(5000 * logits, Recorder(toy, task), variant())


@pytest.mark.parametrize(
    ("labels", "got"),
    [
        (np.ones((8, 12, 15), np.uint8), r"uint8 of \(8, 12, 15\)"),
        (np.ones((8, 12, 16), np.uint16), r"uint16 of \(8, 12, 16\)"),
        (np.ones((8, 12, 16), np.float32), r"float32 of \(8, 12, 16\)"),
    ],
)
def test_labels_of_another_shape_or_type_are_refused(flat, toy, task, labels, got):
    path, _ = flat
    np.save(path / "golden_labels.npy", labels)
    write_manifest(path, toy.manifest(task, (variant(),)))
    expected = rf"golden_labels\.npy: expected uint8 labels of shape \(8, 12, 16\), got {got}"
    with Bundle.open(path) as bundle, pytest.raises(BundleError, match=expected):
        GoldenTest.of(bundle)


def test_labels_of_more_than_256_classes_take_two_bytes(toy, task, tmp_path):
    many = task.replaced(labels=("background", *(f"organ_{number}" for number in range(299))))
    path = toy.write_bundle(tmp_path / "many", task)
    logits = np.zeros((1, 300, *task.patch.dhw), np.float32)
    logits[:, 299] = 1.0
    np.save(path / "golden_output.npy", to_levels(softmax(logits[0])))
    np.save(path / "golden_labels.npy", np.full(task.patch.dhw, 299, np.uint16))
    write_manifest(path, toy.manifest(many, (variant(),)))
    with Bundle.open(path) as bundle:
        test = GoldenTest.of(bundle)
        test.check(logits, Recorder(toy, task), variant())
        logits[:, 298] = 1.001
        with pytest.raises(BundleError, match=r"0\.00000 of the labels agree"):
            test.check(logits, Recorder(toy, task), variant())


def test_the_logits_of_older_bundles_become_probabilities_and_labels(bundle, toy, task, tmp_path):
    present = GoldenTest.of(bundle)
    path = toy.write_bundle(tmp_path / "older", task)
    (path / "golden_labels.npy").unlink()
    np.save(path / "golden_output.npy", toy.nearest_mean_logits(present.patch))
    write_manifest(path, toy.manifest(task, (variant(),), golden=Golden()))
    with Bundle.open(path) as bundle:
        older = GoldenTest.of(bundle)
    assert np.array_equal(older.probabilities, present.probabilities)
    assert np.array_equal(older.labels, present.labels)
    moved = toy.nearest_mean_logits(present.patch)
    moved[:, :, 0, 0, :8] = moved[:, ::-1, 0, 0, :8]  # 0.5 % of the voxels: enough for the present rule alone
    older.check(toy.nearest_mean_logits(present.patch), Recorder(toy, task), variant())
    with pytest.raises(BundleError, match=r"expected at least 0\.9999"):
        present.check(moved, Recorder(toy, task), variant())
    with pytest.raises(BundleError, match=r"a probability differs by"):
        older.check(moved, Recorder(toy, task), variant())


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


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_a_bundle_that_computes_something_else_fails_its_self_test(toy, task, tmp_path, engine):
    path = toy.write_bundle(tmp_path / "shifted.bedside", task, golden_shift=0.1)
    labels = toy.nearest_mean_logits(np.load(path / "golden_input.npy"))[0].argmax(0)
    np.save(path / "golden_labels.npy", labels.astype(np.uint8))  # no label moves
    write_manifest(path, toy.manifest(task, tuple(variant(precision) for precision in ("fp32", "int8"))))
    with pytest.raises(BundleError, match=r"self-test with .* failed on this machine: a probability differs by 0\.\d+"):
        Segmenter.load(path, engine, threads=1)
    Segmenter.load(path, engine, threads=1, self_test=False).close()


def test_labels_that_disagree_fail_the_self_test(toy, task, tmp_path):
    model = toy.nearest_mean_model(task.patch.dhw, (0.0, 0.55, 1.0))  # thresholds move by 0.025: 5 % of the voxels
    path = toy.write_bundle(tmp_path / "moved.bedside", task, model)
    with pytest.raises(BundleError, match=r"0\.9\d+ of the labels agree, expected at least 0\.9900"):
        Segmenter.load(path, "onnxruntime", "int8", threads=1)


@pytest.mark.parametrize(
    ("on_golden", "on_patches", "least"),
    [
        (0.96, None, None),  # 0.94 is asked for
        (0.98, None, "0.9600"),
        (0.96, 1.0, None),  # the golden patch's own figure counts,
        (0.98, 0.5, "0.9600"),  # whichever is higher
        (None, 0.96, None),  # without it, that of the parity patches
        (None, 0.98, "0.9600"),
        (None, None, "0.9900"),
        (1.5, None, "0.9900"),  # no agreement at all: more than the cap is never asked for
    ],
)
def test_int8_is_held_to_the_agreement_measured_at_export(toy, task, tmp_path, on_golden, on_patches, least):
    model = toy.nearest_mean_model(task.patch.dhw, (0.0, 0.55, 1.0))  # gives 95 % of the voxels the same label
    path = toy.write_bundle(tmp_path / "moved.bedside", task, model)
    parity = None
    if on_patches is not None:
        parity = Parity(max_abs_probability=0.5, mean_abs_probability=0.1, label_agreement=on_patches, patches=1)
    variant = Variant(
        precision="int8", engine="onnxruntime", file="model.int8.onnx", parity=parity, golden_agreement=on_golden
    )
    with Segmenter.load(path, "onnxruntime", "int8", threads=1, self_test=False) as opened:
        if least is None:
            check_golden(opened.bundle, opened.engine, variant)
        else:
            with pytest.raises(BundleError, match=rf"0\.9[45]\d+ of the labels agree, expected at least {least}"):
                check_golden(opened.bundle, opened.engine, variant)


def test_fp32_is_held_to_99_99_percent_whatever_was_measured(toy, task, tmp_path):
    path = toy.write_bundle(tmp_path / "b", task, toy.nearest_mean_model(task.patch.dhw, (0.0, 0.55, 1.0)))
    variant = Variant(precision="fp32", engine="onnxruntime", file="model.fp32.onnx", golden_agreement=0.5)
    with (
        Segmenter.load(path, "onnxruntime", threads=1, self_test=False) as opened,
        pytest.raises(BundleError, match=r"expected at least 0\.9999"),
    ):
        check_golden(opened.bundle, opened.engine, variant)


def test_a_model_of_another_window_is_refused(toy, task, tmp_path):
    path = toy.write_bundle(tmp_path / "b.bedside", task, toy.nearest_mean_model((8, 8, 8)))
    with pytest.raises(BundleError, match=r"window \(8, 8, 8\) and 3 classes do not fit the task's \(8, 12, 16\)"):
        Segmenter.load(path, threads=1)
