"""The table of engines: which rows are known, installed and imported, and how another package adds one."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from bedside.runtime import MissingExtraError, ResourceError, Segmenter, UsageError, available_engines, open_engine
from bedside.runtime.engines import ENGINES, device_name, inference_devices, supports, table

from ...fresh_process import run_at_home

TOY_ENGINE = """
import numpy as np
from bedside.runtime.engines import BaseEngine, EngineEntry, InferenceDevice, ModelFormat, NetworkShape
from bedside.runtime.engines.model_bytes import model_bytes

ROW = EngineEntry("toy_engine", None, "toy_engine", "ToyEngine", (ModelFormat.ONNX,))

class ToyEngine(BaseEngine[None]):
    name, library = "toy", "Toy"

    def __init__(self, model, threads, precision, streams, compiled, device):
        assert model_bytes(model).graph  # the bundle's ONNX
        super().__init__(NetworkShape((8, 12, 16), 3, None), [None] * streams, precision)

    @staticmethod
    def devices():
        return (InferenceDevice("CPU", ("fp32",)),)

    def _run(self, slot, patches):
        means = np.array([0, 0.5, 1], np.float32).reshape(1, 3, 1, 1, 1)
        return 20 * (2 * means * patches - means**2)
"""


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Returns a function that installs a package with one engine; its row is imported on use."""

    def install(entry_point: str, code: str = TOY_ENGINE) -> None:
        (tmp_path / "toy_engine.py").write_text(code)
        metadata = tmp_path / "toy_engine-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-engine\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[bedside.engines]\ntoy = {entry_point}\n")
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(ENGINES, "_entries", None)  # looked up again, as in a new process
        monkeypatch.delitem(sys.modules, "toy_engine", raising=False)

    return install


def test_the_engine_of_another_package_segments_a_scan(installed, bundle_path):
    installed("toy_engine:ROW")
    assert available_engines() == ["openvino", "onnxruntime", "toy"]
    hu = np.full((20, 20, 20), -1000, np.int16)
    hu[4:15, 4:15, 4:15] = 0
    hu[8:12, 8:12, 8:12] = 1000
    with Segmenter.load(bundle_path, "toy", threads=1) as segmenter:
        result = segmenter.segment_array(hu, np.diag([3.0, 3.0, 3.0, 1.0]))
    assert (result.engine, result.precision) == ("toy", "fp32")
    assert np.array_equal(result.labels, np.searchsorted([-1000, 0, 1000], hu))


def test_an_engine_that_cannot_be_imported_is_logged_and_left_out(installed, bundle_path, caplog):
    installed("toy_engine:ROW", "import no_such_package\n")
    assert available_engines() == ["openvino", "onnxruntime"]
    assert 'engine "toy" of the package toy-engine cannot be imported: ModuleNotFoundError' in caplog.text
    with pytest.raises(UsageError, match='engine "toy" of the package toy-engine cannot be imported'):
        Segmenter.load(bundle_path, "toy")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("cpu", "CPU"),
        ("AUTO", "auto"),
        ("Cuda", "CUDA"),
        ("tensorrt", "TensorRT"),
        ("gpu.1", "GPU.1"),
        ("fpga", "fpga"),
    ],
)
def test_a_device_is_named_as_its_engine_spells_it(given, name):
    assert device_name(given) == name


@pytest.mark.parametrize("name", available_engines())
def test_an_engines_row_names_the_kinds_of_its_devices(name):
    found = inference_devices(name)
    assert found
    assert {device.name.partition(".")[0] for device in found} <= {*ENGINES[name].devices}
    assert inference_devices(name.upper(), "FP32") == inference_devices(name, "fp32")


def test_an_engine_that_is_not_installed_supports_nothing(monkeypatch):
    monkeypatch.setattr(table, "find_spec", lambda package: None)
    assert not supports("openvino", "fp32")


def test_unknown_engine_lists_the_known_ones(model):
    with pytest.raises(UsageError, match=r'no engine "tensorflow"; expected one of: tensorrt, openvino, onnxruntime'):
        open_engine("tensorflow", model)


def test_available_engines_are_the_installed_ones_the_preferred_first():
    assert available_engines() == ["openvino", "onnxruntime"]


def test_a_missing_extra_is_one_line_with_the_command(model, monkeypatch):
    monkeypatch.setattr(table, "find_spec", lambda package: None)
    with pytest.raises(MissingExtraError, match=r"openvino is not installed; run: pip install 'bedside\[openvino\]'"):
        open_engine("openvino", model)
    with pytest.raises(UsageError, match="run: pip install onnxruntime"):
        open_engine("onnxruntime", model)
    assert available_engines() == []


def test_importing_the_runtime_brings_no_engine_and_no_torch(tmp_path):
    code = (
        "import sys, bedside.runtime, bedside.runtime.engines as e; e.available_engines();"
        "print([name for name in ('torch', 'onnxruntime', 'openvino', 'nibabel') if name in sys.modules])"
    )
    assert run_at_home(code, tmp_path) == "[]"


def test_importing_the_table_looks_up_no_entry_points(tmp_path):
    code = "from bedside.runtime.engines import ENGINES; ENGINES['onnxruntime']; print(ENGINES._entries)"
    assert run_at_home(code, tmp_path) == "None"


@pytest.mark.parametrize("name", available_engines())
def test_running_an_engine_never_imports_torch_or_onnx(name, model_file, tmp_path):
    code = (
        "import sys, bedside.runtime.segmenter; from pathlib import Path; from bedside.runtime import open_engine;"
        f"open_engine({name!r}, Path({str(model_file)!r}), threads=1);"
        "print([name for name in ('torch', 'onnx', 'monai') if name in sys.modules])"
    )
    assert run_at_home(code, tmp_path) == "[]"


def test_a_package_that_cannot_be_imported_leaves_the_choice_to_another_engine(bundle_path, tmp_path):
    broken = tmp_path / "site" / "openvino"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('libtbb.so.12: cannot open shared object file')")
    code = f"""
import sys
sys.path.insert(0, {str(broken.parent)!r})
from bedside.runtime import ResourceError, Segmenter
with Segmenter.load({str(bundle_path)!r}, threads=1) as segmenter:
    print(segmenter.engine.name)
try:
    Segmenter.load({str(bundle_path)!r}, engine="openvino", threads=1)
except ResourceError as error:
    print(error)
"""
    chosen, error = run_at_home(code, tmp_path).splitlines()
    assert chosen == "onnxruntime"
    assert "openvino cannot be imported (libtbb.so.12: cannot open shared object file)" in error


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('EngineEntry("nopackage.part", None, "toy_engine", "ToyEngine", (ModelFormat.ONNX,))', "not installed"),
        ('EngineEntry("toy_engine", None, "no_module", "ToyEngine", (ModelFormat.ONNX,))', "cannot be imported"),
        ('EngineEntry("toy_engine", None, "toy_engine", "NoClass", (ModelFormat.ONNX,))', "expected an engine class"),
        ('EngineEntry("toy_engine", None, "toy_engine", "ToyEngine", ())', "cannot be imported: ValueError: formats"),
    ],
)
def test_a_faulty_row_of_another_package_matters_only_where_it_is_named(installed, bundle_path, row, message):
    installed("toy_engine:FAULTY", f"{TOY_ENGINE}\nFAULTY = {row}\n")
    with Segmenter.load(bundle_path, threads=1) as segmenter:
        assert segmenter.engine.name in ("openvino", "onnxruntime")
    with pytest.raises((UsageError, ResourceError), match=message):
        Segmenter.load(bundle_path, engine="toy", threads=1)
