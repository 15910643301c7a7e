"""The folders are floors: nobody imports from a higher one, and the device floors stand without torch."""

import ast
import os
import re
import resource
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {
    "runtime": 0,
    "processes": 1,
    "training": 2,
    "devices": 2,
    "dicom": 2,
    "teacher": 3,
    "distill": 4,
    "export": 4,
    "service": 4,
    "cli": 5,
}
FILES = sorted(path for folder in FLOORS for path in (ROOT / folder).rglob("*.py"))
HEAVY = ("torch", "monai", "onnxruntime", "openvino", "segment_anything", "lightning_fabric", "jinja2")


def imports(path: Path) -> set[tuple[str, ...]]:
    """Returns what a file imports of the product, as paths from its root, wherever in the file the import stands."""
    package = path.relative_to(ROOT).parts[:-1]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            if node.level:
                base = package[: len(package) - node.level + 1]
                names = [node.module] if node.module else [alias.name for alias in node.names]
                found |= {(*base, *name.split(".")) for name in names if name}
            elif node.module and node.module.startswith("bedside."):
                found.add(tuple(node.module.split(".")[1:]))
        elif isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")[1:]) for alias in node.names if alias.name.startswith("bedside.")}
    return found


def imported_folders(path: Path) -> set[str]:
    return {place[0] for place in imports(path)} & FLOORS.keys()


def loaded_modules(statement: str) -> set[str]:
    code = f"{statement}\nimport sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_imports_only_from_lower_floors(path):
    own = path.relative_to(ROOT).parts[0]
    higher = {name for name in imported_folders(path) if name != own and FLOORS[name] >= FLOORS[own]}
    assert not higher


def test_the_import_reader_sees_relative_imports(tmp_path):
    assert imported_folders(ROOT / "distill" / "teacher.py") >= {"runtime", "training", "teacher"}


@pytest.mark.parametrize(
    ("floor", "some"),
    [
        ("runtime", ("files", "scans", "windows", "labels")),
        ("training", ("data", "runs", "loop")),
        ("devices", ("sensors", "measurement", "planner")),
        ("cli", ("terminal", "options", "segment")),
    ],
)
def test_the_folders_of_a_floor_have_an_order(floor, some):
    top = ROOT / floor
    folders = {folder.name for folder in top.iterdir() if (folder / "__init__.py").exists()}
    below = {
        folder: {
            place[1]
            for path in (top / folder).glob("*.py")
            for place in imports(path)
            if place[0] == floor and place[1:]
        }
        & folders
        for folder in folders
    }
    order = list(TopologicalSorter({folder: under - {folder} for folder, under in below.items()}).static_order())
    assert [folder for folder in order if folder in some] == list(some)


def needed_modules(path: Path) -> set[Path]:
    """Returns the files of the product that a file imports when it runs, wherever in it the import stands."""
    tree, package = ast.parse(path.read_text()), path.parent
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            module = package.joinpath(*[".."] * (node.level - 1), *(node.module or "").split(".")).resolve()
            for place in (module, *(module / alias.name for alias in node.names)):
                found |= {place.with_suffix(".py"), place / "__init__.py"}
    return found & set(FILES) - {path}


def test_no_module_imports_one_that_imports_it():
    """But a teacher's configuration builds its network, which is written for that configuration."""
    needed = {path: needed_modules(path) for path in FILES}
    for family in (ROOT / "teacher").glob("*/config.py"):
        needed[family] -= {family.with_name("network.py"), family.with_name("weights.py")}
    assert set(TopologicalSorter(needed).static_order()) == set(FILES)  # a circle raises CycleError


def test_the_files_of_devices_stand_above_its_folders():
    top = ROOT / "devices"
    files = {path.stem for path in top.glob("*.py")} - {"__init__"}
    assert files >= {"benchmark", "plan"}
    found = {
        f"{path.parent.name}/{path.name}": {place[1] for place in imports(path) if place[0] == "devices"} & files
        for path in top.glob("*/*.py")
    }
    assert {path for path, imported in found.items() if imported} == set()


def test_no_command_imports_another_and_no_folder_below_imports_a_command():
    """A command is a file of `cli/`, or a folder there with a `command.py` or, of a group, with a file for each."""
    shared = {"options", "tables", "terminal"}
    parts = {path.stem for path in (ROOT / "cli").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    commands = parts - shared - {"__init__", "main"}
    assert commands >= {"segment", "dataset", "export"}
    found = {
        str(path.relative_to(ROOT)): {place[1] for place in imports(path) if place[0] == "cli" and place[1:]}
        & (commands - {path.relative_to(ROOT).parts[1]})
        for path in (ROOT / "cli").rglob("*.py")
    }
    table = re.findall(r'"(\w+)(?:\.\w+)?:\w+"', (ROOT / "cli" / "main.py").read_text())
    assert set(table) == commands
    assert {path for path, imported in found.items() if imported} == set()


@pytest.mark.parametrize(
    "statement",
    [
        "import bedside.runtime",
        "import bedside.runtime.files.html_page",
        "import bedside.processes.worker_pool",
        "import bedside.devices",
        "import bedside.dicom",
        "import bedside.service.server",
        "import bedside.cli.main",
    ],
)
def test_device_floors_and_command_line_load_without_torch_and_engines(statement):
    assert not loaded_modules(statement) & set(HEAVY)


def test_help_takes_little_more_than_the_library_that_prints_it(tmp_path):
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path)}  # as installed

    def seconds(*words: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *words], capture_output=True, check=True, env=environment)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    def ratio() -> float:  # of processor times that were measured under the same load, on the same machine
        return seconds("-m", "bedside", "--help") / seconds("-c", "import typer.rich_utils")

    ratio()  # compiles
    assert min(ratio() for _ in range(5)) < 1.8  # 0.4 s where the library takes 0.22 s
