"""One conformance suite: every engine, from every form of model it takes, has to pass all of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from bedside.runtime import (
    BundleError,
    MissingExtraError,
    ResourceError,
    UsageError,
    available_engines,
    open_engine,
)
from bedside.runtime import engines as engine_table
from bedside.runtime.engines import PRECISIONS, entry, supports
from bedside.runtime.engines.onnx_guard import refuse_external_data
from bedside.runtime.engines.open_vino import import_openvino
from scipy.ndimage import correlate

PATCH = (6, 7, 8)
_RANDOM = np.random.default_rng(3)
WEIGHT = _RANDOM.normal(size=(4, 1, 3, 3, 3)).astype(np.float32)
BIAS = _RANDOM.normal(size=4).astype(np.float32)


def convolved(patch):
    return np.stack([correlate(patch, kernel[0], mode="constant") + b for kernel, b in zip(WEIGHT, BIAS, strict=True)])


@pytest.fixture(scope="session")
def model(toy):
    return toy.conv_model(WEIGHT, BIAS, PATCH)


@pytest.fixture(scope="session")
def model_file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "model.onnx"
    path.write_bytes(model)
    return path


@pytest.fixture(scope="session")
def ir_file(model, tmp_path_factory):
    openvino = import_openvino()
    path = tmp_path_factory.mktemp("ir") / "model.xml"
    openvino.save_model(openvino.Core().read_model(model), path, compress_to_fp16=False)
    return path


FORMS = [
    ("onnxruntime", "bytes"),
    ("onnxruntime", "file"),
    ("openvino", "bytes"),
    ("openvino", "file"),
    ("openvino", "ir"),
]


@pytest.fixture(
    params=[(*form, streams) for form in FORMS for streams in (1, 2)], ids=lambda form: "-".join(map(str, form))
)
def engine(request, model, model_file, ir_file):
    name, form, streams = request.param
    model = {"bytes": model, "file": model_file, "ir": ir_file}[form]
    opened = open_engine(name, model, threads=streams, streams=streams)
    yield opened
    opened.close()


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
        assert (compiled is None) == (engine.name == "onnxruntime")
        with caplog.at_level("INFO", "bedside"):
            again = open_engine(engine.name, model_file, threads=streams, streams=streams, compiled=compiled)
        assert caplog.text == ""
        assert (again.parallel, again.patch_dhw, again.num_classes) == (streams, PATCH, 4)
        assert np.array_equal(again.infer(patches), expected)

    def test_a_closed_engine_says_so(self, engine):
        engine.close()
        engine.close()
        with pytest.raises(UsageError, match="the engine is closed"):
            engine.infer(np.zeros((1, 1, *PATCH), np.float32))


@pytest.mark.parametrize("name", list(engine_table.ENGINES))
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

        owner = {"onnxruntime": onnxruntime.InferenceSession, "openvino": import_openvino().Core}[name]
        monkeypatch.setattr(owner, {"onnxruntime": "__init__", "openvino": "compile_model"}[name], full)
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
        with pytest.raises(UsageError, match='precision: expected fp32, bf16, int8, int8-bf16, got "fp16"'):
            open_engine(name, model, precision="fp16")

    def test_a_precision_that_the_machine_lacks_is_refused(self, name, model, monkeypatch):
        without_bf16(monkeypatch)
        with pytest.raises(UsageError, match=f"{name} does not compute in bf16 on this machine; choose fp32"):
            open_engine(name, model, precision="bf16")


def without_bf16(monkeypatch):
    """A CPU as OpenVINO describes one that has no bfloat16."""
    core = import_openvino().Core
    monkeypatch.setattr(core, "get_property", lambda self, device, name: ["WINOGRAD", "FP32", "INT8", "BIN"])


def test_onnx_runtime_has_no_bfloat16_on_any_cpu():
    assert [supports("onnxruntime", precision) for precision in PRECISIONS] == [True, False, True, False]


def test_openvino_has_bfloat16_where_the_cpu_has(monkeypatch):
    monkeypatch.setattr(import_openvino().Core, "get_property", lambda self, device, name: ["FP32", "INT8", "BF16"])
    assert [supports("openvino", precision) for precision in PRECISIONS] == [True, True, True, True]
    without_bf16(monkeypatch)
    assert [supports("openvino", precision) for precision in PRECISIONS] == [True, False, True, False]


def test_an_engine_that_is_not_installed_supports_nothing(monkeypatch):
    monkeypatch.setattr(entry, "find_spec", lambda package: None)
    assert not supports("openvino", "fp32")


@pytest.mark.parametrize("precision", ["bf16", "int8-bf16"])
def test_bf16_computes_in_bfloat16(model, precision):
    if not supports("openvino", precision):
        pytest.skip("this CPU has no bfloat16")
    patch = np.random.default_rng(8).random((1, 1, *PATCH), np.float32)
    logits = open_engine("openvino", model, threads=1, precision=precision).infer(patch)[0]
    off = np.abs(logits - convolved(patch[0, 0])).max()
    assert 1e-4 < off < 0.1  # 8 bits of mantissa: about 2⁻⁸ of logits up to 5


@pytest.mark.parametrize("compiled", [b"", b"not compiled by OpenVINO"])
def test_a_cached_model_that_openvino_rejects_is_compiled_again_and_logged(model, caplog, compiled):
    with caplog.at_level("INFO", "bedside"):
        engine = open_engine("openvino", model, threads=1, compiled=compiled)
    assert "cached model rejected, recompiling" in caplog.text
    assert engine.patch_dhw == PATCH


def test_external_data_inside_a_subgraph_attribute_is_found():
    tensor = onnx.numpy_helper.from_array(np.zeros(3, np.float32), "t")
    onnx.external_data_helper.set_external_data(tensor, "x.bin")
    constant = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
    inner = onnx.helper.make_graph([constant], "inner", [], [])
    outer = onnx.helper.make_graph([onnx.helper.make_node("If", ["b"], ["c"], then_branch=inner)], "outer", [], [])
    with pytest.raises(BundleError, match="keeps weights in another file"):
        refuse_external_data(onnx.helper.make_model(outer).SerializeToString())


def test_an_honest_model_passes_the_guard(model):
    refuse_external_data(model)


def test_onnx_runtime_takes_no_format_that_the_guard_does_not_know(model, tmp_path, monkeypatch):
    """Its own is recognised by four bytes, and could be hidden in what the guard takes for an ONNX."""
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    content = (tmp_path / "model.ort").read_bytes()
    assert onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"]).get_inputs()[0].name == "image"
    monkeypatch.setattr("bedside.runtime.engines.onnx_runtime.refuse_external_data", lambda content: None)
    with pytest.raises(BundleError, match="ONNX Runtime refuses the model"):
        open_engine("onnxruntime", content, threads=1)


def test_unknown_engine_lists_the_known_ones(model):
    with pytest.raises(UsageError, match=r'no engine "tensorflow"; expected one of: openvino, onnxruntime'):
        open_engine("tensorflow", model)


def test_available_engines_are_the_installed_ones_the_preferred_first():
    assert available_engines() == ["openvino", "onnxruntime"]


def test_a_missing_extra_is_one_line_with_the_command(model, monkeypatch):
    monkeypatch.setattr(entry, "find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=r"openvino is not installed; run: pip install 'bedside\[openvino\]'"):
        open_engine("openvino", model)
    with pytest.raises(UsageError, match="run: pip install onnxruntime"):
        open_engine("onnxruntime", model)
    assert available_engines() == []


def run_python(code: str, home: Path) -> str:
    environment = {**os.environ, "HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_openvino_sends_no_telemetry(model_file, tmp_path):
    code = (
        "import sys; from pathlib import Path; from bedside.runtime import open_engine;"
        f"open_engine('openvino', Path({str(model_file)!r}), threads=1);"
        "print([name for name, module in sys.modules.items() if 'openvino_telemetry' in name and module])"
    )
    assert run_python(code, tmp_path) == "[]"
    assert list(tmp_path.iterdir()) == []  # its client id would lie in ~/intel


def test_importing_the_runtime_brings_no_engine_and_no_torch(tmp_path):
    code = (
        "import sys, bedside.runtime, bedside.runtime.engines as e; e.available_engines();"
        "print([name for name in ('torch', 'onnxruntime', 'openvino', 'nibabel') if name in sys.modules])"
    )
    assert run_python(code, tmp_path) == "[]"


@pytest.mark.parametrize("name", list(engine_table.ENGINES))
def test_running_an_engine_never_imports_torch_or_onnx(name, model_file, tmp_path):
    code = (
        "import sys, bedside.runtime.segmenter; from pathlib import Path; from bedside.runtime import open_engine;"
        f"open_engine({name!r}, Path({str(model_file)!r}), threads=1);"
        "print([name for name in ('torch', 'onnx', 'monai') if name in sys.modules])"
    )
    assert run_python(code, tmp_path) == "[]"
