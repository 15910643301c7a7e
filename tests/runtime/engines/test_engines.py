"""One conformance suite: every engine, from every form of model it takes, has to pass all of it.

TensorRT passes it on a GPU where there is one, and on one of main memory elsewhere (`fake_driver`, `fake_tensorrt`).
"""

from __future__ import annotations

import sys
import threading
import weakref
from importlib.metadata import PackageNotFoundError

import numpy as np
import onnx
import onnxruntime
import pytest
from bedside.runtime import (
    BundleError,
    ResourceError,
    UsageError,
    engines,
    open_engine,
)
from bedside.runtime.engines import ENGINES, ModelFormat, inference_devices
from bedside.runtime.engines.open_vino import import_openvino

from .convolution import BIAS, PATCH, WEIGHT, convolved, without_bf16

FORMS = [
    (name, form)
    for name, row in ENGINES.items()
    for form in ("bytes", "file", "ir")
    if (ModelFormat.OPENVINO_IR if form == "ir" else ModelFormat.ONNX) in row.formats
]


def provide(name, request):
    """Gives the machine a GPU of main memory for the one engine that runs on nothing else, where it has none."""
    if name == "tensorrt" and not inference_devices(name):
        request.getfixturevalue("tensorrt")


@pytest.fixture
def provided(name, request):
    provide(name, request)


@pytest.fixture(
    params=[(*form, streams) for form in FORMS for streams in (1, 2)], ids=lambda form: "-".join(map(str, form))
)
def engine(request, model, model_file, ir_file):
    name, form, streams = request.param
    provide(name, request)
    model = {"bytes": model, "file": model_file, "ir": ir_file}[form]
    with open_engine(name, model, threads=streams, streams=streams) as opened:
        yield opened


class TestConformance:
    def test_says_what_it_is(self, engine, request):
        name, _, streams = request.node.callspec.params["engine"]
        assert (engine.name, engine.parallel) == (name, streams)
        assert (engine.precision, engine.patch_dhw, engine.num_classes) == ("fp32", PATCH, 4)

    def test_computes_what_the_network_says_in_float32(self, engine):
        patches = np.random.default_rng(4).random((1, 1, *PATCH), np.float32)
        logits = engine.infer(patches)
        assert (logits.dtype, logits.shape) == (np.float32, (1, 4, *PATCH))
        np.testing.assert_allclose(logits[0], convolved(patches[0, 0]), atol=2e-5)  # bfloat16 would be off by 1e-2

    def test_a_batch_is_the_same_as_one_by_one(self, engine):
        patches = np.random.default_rng(5).random((3, 1, *PATCH), np.float32)
        alone = np.concatenate([engine.infer(patch[None]) for patch in patches])
        np.testing.assert_allclose(engine.infer(patches), alone, atol=1e-6)

    def test_repeats_to_the_bit(self, engine):
        patches = np.random.default_rng(6).random((1, 1, *PATCH), np.float32)
        assert np.array_equal(engine.infer(patches), engine.infer(patches))

    def test_a_result_belongs_to_the_caller(self, engine):
        first = engine.infer(np.zeros((1, 1, *PATCH), np.float32))
        kept = first.copy()
        first[...] = 0  # may be overwritten …
        second = engine.infer(np.ones((1, 1, *PATCH), np.float32))
        assert np.array_equal(engine.infer(np.zeros((1, 1, *PATCH), np.float32)), kept)
        assert not np.array_equal(second, kept)  # … and is not by the next call

    def test_keeps_no_window_of_a_scan(self, engine):
        patches = np.ones((1, 1, *PATCH), np.float32)
        logits = engine.infer(patches)
        given, returned = weakref.ref(patches), weakref.ref(logits)
        del patches, logits
        assert (given(), returned()) == (None, None)

    def test_takes_patches_that_may_not_be_written_to(self, engine):
        patches = np.random.default_rng(4).random((1, 1, *PATCH), np.float32)
        patches.flags.writeable = False
        np.testing.assert_allclose(engine.infer(patches)[0], convolved(patches[0, 0]), atol=2e-5)

    def test_takes_patches_that_are_not_contiguous(self, engine):
        volume = np.random.default_rng(7).random((20, 20, 20), np.float32)
        window = volume[2:8, 3:10, 4:12][None, None]
        np.testing.assert_allclose(engine.infer(window)[0], convolved(window[0, 0]), atol=2e-5)

    def test_nan_in_gives_nan_out_not_a_crash(self, engine):
        patches = np.full((1, 1, *PATCH), np.nan, np.float32)
        assert np.isnan(engine.infer(patches)).all()

    @pytest.mark.parametrize("shape", [(1, 1, 6, 7, 9), (1, 2, 6, 7, 8), (6, 7, 8), (0, 1, 6, 7, 8)])
    def test_patches_of_another_shape_are_refused(self, engine, shape):
        with pytest.raises(UsageError, match=r"expected float32 patches \[N, 1, 6×7×8\], got float32"):
            engine.infer(np.zeros(shape, np.float32))

    def test_patches_of_another_type_are_refused(self, engine):
        with pytest.raises(UsageError, match="got float64"):
            engine.infer(np.zeros((1, 1, *PATCH)))

    def test_threads_get_their_own_results(self, engine):
        patches = [np.full((1, 1, *PATCH), value, np.float32) for value in range(8)]
        expected = [engine.infer(patch) for patch in patches]
        wrong = []

        def work(index):
            for _ in range(20):
                if not np.array_equal(engine.infer(patches[index]), expected[index]):
                    wrong.append(index)

        threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []

    def test_what_it_compiled_computes_the_same_to_the_bit(self, engine, model_file, caplog):
        patches = np.random.default_rng(9).random((1, 1, *PATCH), np.float32)
        expected, compiled, streams = engine.infer(patches), engine.compiled(), engine.parallel
        assert (compiled is not None) == ENGINES[engine.name].caches_compiled
        with caplog.at_level("INFO", "bedside"):
            again = open_engine(engine.name, model_file, threads=streams, streams=streams, compiled=compiled)
        assert "rejected" not in caplog.text
        assert (again.parallel, again.patch_dhw, again.num_classes) == (streams, PATCH, 4)
        assert np.array_equal(again.infer(patches), expected)

    def test_knows_whether_it_has_run(self, engine):
        assert not engine.has_run
        engine.infer(np.zeros((1, 1, *PATCH), np.float32))
        assert engine.has_run

    def test_is_closed_at_the_end_of_its_with_block(self, engine):
        with engine:
            engine.infer(np.zeros((1, 1, *PATCH), np.float32))
        with pytest.raises(UsageError, match="the engine is closed"):
            engine.infer(np.zeros((1, 1, *PATCH), np.float32))

    def test_a_closed_engine_says_so(self, engine):
        engine.close()
        engine.close()
        with pytest.raises(UsageError, match="the engine is closed"):
            engine.infer(np.zeros((1, 1, *PATCH), np.float32))


@pytest.mark.usefixtures("provided")
@pytest.mark.parametrize("name", list(ENGINES))
class TestRefusals:
    @pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07" * 40])
    def test_what_is_not_an_onnx_is_refused_in_one_line(self, name, content):
        with pytest.raises(BundleError) as refusal:
            open_engine(name, content, threads=1)
        assert "\n" not in str(refusal.value)

    def test_a_missing_file_is_refused(self, name, tmp_path):
        with pytest.raises(BundleError, match=r"model file gone\.onnx cannot be read"):
            open_engine(name, tmp_path / "gone.onnx", threads=1)

    def test_a_model_without_fixed_window_is_refused(self, name, toy):
        with pytest.raises(BundleError, match="fixed window"):
            open_engine(name, toy.conv_model(WEIGHT, BIAS, ("d", 7, 8)), threads=1)

    def test_a_model_with_two_input_channels_is_refused(self, name):
        io = [
            onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 2, *PATCH]) for n in ("image", "logits")
        ]
        graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["image"], ["logits"])], "g", io[:1], io[1:])
        model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
        with pytest.raises(BundleError, match=r"expected one input \[N, 1, D, H, W\]"):
            open_engine(name, model.SerializeToString(), threads=1)

    def test_a_batch_of_one_fixed_in_the_model_takes_more_patches(self, name, toy):
        with_one = toy.conv_model(WEIGHT, BIAS, PATCH, batch=1)
        assert open_engine(name, with_one, threads=1).infer(np.zeros((3, 1, *PATCH), np.float32)).shape[0] == 3

    def test_external_data_is_refused_and_not_opened(self, name, model, tmp_path):
        external = onnx.load_from_string(model)
        secret = tmp_path / "secret.bin"
        secret.write_bytes(bytes(WEIGHT.nbytes))
        onnx.external_data_helper.set_external_data(external.graph.initializer[0], str(secret))
        external.graph.initializer[0].ClearField("raw_data")
        path = tmp_path / "model.onnx"
        path.write_bytes(external.SerializeToString())
        with pytest.raises(BundleError, match="keeps weights in another file"):
            open_engine(name, path, threads=1)

    @pytest.mark.parametrize("error", [MemoryError(), RuntimeError("Exception from x.cpp:1:\nstd::bad_alloc")])
    def test_want_of_memory_is_not_the_models_fault(self, name, model, monkeypatch, error):
        def full(*_: object, **__: object) -> None:
            raise error

        owner, call = {
            "onnxruntime": (onnxruntime.InferenceSession, "__init__"),
            "openvino": (import_openvino().Core, "compile_model"),
            "tensorrt": (sys.modules.get("tensorrt"), "Builder"),
        }[name]
        monkeypatch.setattr(owner, call, full)
        with pytest.raises(ResourceError, match="has no memory left for the model"):
            open_engine(name, model, threads=1)

    def test_zero_threads_are_refused(self, name, model):
        with pytest.raises(UsageError, match="threads: expected a whole number from 1 to 1024, got 0"):
            open_engine(name, model, threads=0)

    @pytest.mark.parametrize("streams", [0, 3])
    def test_a_stream_needs_a_thread(self, name, model, streams):
        with pytest.raises(UsageError, match=f"streams: expected a whole number from 1 to 2, got {streams}"):
            open_engine(name, model, threads=2, streams=streams)

    def test_an_unknown_precision_is_refused(self, name, model):
        with pytest.raises(
            UsageError, match='precision: expected fp32, fp16, bf16, int8, uint8, int8-fp16, int8-bf16, got "fp8"'
        ):
            open_engine(name, model, precision="fp8")

    def test_a_precision_that_the_machine_lacks_is_refused(self, name, model, monkeypatch):
        without_bf16(monkeypatch)
        with pytest.raises(UsageError, match=f"{name} does not compute in bf16 on this machine; choose fp32"):
            open_engine(name, model, precision="bf16")


def test_the_version_of_a_package_is_that_of_the_wheel_that_holds_it(monkeypatch):
    installed = {"onnxruntime-gpu": "1.20.1"}

    def version(name):
        if name not in installed:
            raise PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(engines, "version", version)
    monkeypatch.setattr(engines, "packages_distributions", lambda: {"onnxruntime": ["onnxruntime-gpu"]})
    engines._wheels_of.cache_clear()
    assert engines.package_version("onnxruntime") == "1.20.1"
    installed["onnxruntime-gpu"] = "1.23.0"
    assert engines.package_version("onnxruntime") == "1.23.0"
    assert engines.package_version("json") is None
    engines._wheels_of.cache_clear()
