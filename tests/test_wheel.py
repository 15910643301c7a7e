"""What is installed: the package `bedside` and nothing beside it."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = {".venv", ".git", "demo", "build", "tests", "benchmarks"}  # of the root; `cli/demo` is part of the package


def left_out(folder, names):
    return {name for name in names if name == "__pycache__" or (Path(folder) == ROOT and name in LEFT_OUT)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    work = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, work / "source", ignore=left_out)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(work), str(work / "source")]
    subprocess.run(command, check=True, capture_output=True)
    with zipfile.ZipFile(next(work.glob("*.whl"))) as archive:
        yield archive


def test_wheel_holds_only_bedside(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"bedside"}


def test_wheel_holds_every_module_of_the_repository(wheel):
    folders = ["runtime", "training", "teacher", "distill", "export", "devices", "service", "cli"]
    ours = {str(path.relative_to(ROOT)) for folder in folders for path in (ROOT / folder).rglob("*.py")}
    assert ours <= {name.removeprefix("bedside/") for name in wheel.namelist()}


def test_wheel_is_typed_and_brings_its_licence(wheel):
    assert "bedside/py.typed" in wheel.namelist()
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_device_install_needs_neither_torch_nor_openvino(wheel):
    metadata = next(name for name in wheel.namelist() if name.endswith("METADATA"))
    lines = wheel.read(metadata).decode().splitlines()
    needed = {
        line.split(":")[1].split(">")[0].strip()
        for line in lines
        if line.startswith("Requires-Dist") and "extra" not in line
    }
    assert needed == {"numpy", "nibabel", "onnxruntime", "msgspec", "typer", "tomli"}


def test_wheel_brings_the_templates_of_pages(wheel):
    templates = {name for name in wheel.namelist() if name.endswith(".j2")}
    assert templates == {
        "bedside/cli/benchmark/benchmark.html.j2",
        "bedside/cli/demo/report.html.j2",
        "bedside/cli/plan/plan.html.j2",
        "bedside/export/gate/parity.html.j2",
        "bedside/runtime/files/page.html.j2",
    }


def test_wheel_brings_the_profiles_of_devices(wheel):
    folder = ROOT / "devices"
    profiles = {str(path.relative_to(ROOT)) for path in folder.rglob("*.toml")}
    assert {"devices/hardware/software.toml", "devices/hardware/profiles/orin-nano-8.toml"} <= profiles
    shipped = {name.removeprefix("bedside/") for name in wheel.namelist() if name.endswith(".toml")}
    assert profiles == {name for name in shipped if name.startswith("devices/")}


def test_wheel_brings_the_measured_figures_of_students(wheel):
    assert "bedside/distill/students/measured.toml" in wheel.namelist()


def test_wheel_brings_the_page_and_the_viewer_where_it_was_fetched(wheel):
    page = ROOT / "service" / "page"
    files = {str(path.relative_to(ROOT)) for path in page.rglob("*") if path.is_file()}
    assert {f"service/page/{name}" for name in ("index.html", "style.css", "main.js", "niivue-licence.txt")} <= files
    assert files <= {name.removeprefix("bedside/") for name in wheel.namelist()}
