"""Every module of the product that has logic has its test file at the same place under `tests/`."""

import ast
from pathlib import Path

import pytest

from .test_floors import FILES, ROOT

MODULES = {str(path.relative_to(ROOT)): path for path in FILES}
ELSEWHERE = {  # module → the file that tests it
    # The parts of one command, tested by its output.
    "cli/benchmark/page.py": "cli/benchmark/test_command.py",
    "cli/benchmark/csv_table.py": "cli/benchmark/test_command.py",
    "cli/demo/stages.py": "cli/demo/test_command.py",
    "cli/evaluate/as_json.py": "cli/evaluate/test_command.py",
    "cli/evaluate/tables.py": "cli/evaluate/test_command.py",
    "cli/plan/page.py": "cli/plan/test_command.py",
    "cli/plan/students.py": "cli/plan/test_command.py",
    "cli/plan/tables.py": "cli/plan/test_command.py",
    "cli/tables/bundle.py": "cli/inspect/test_command.py",
    "cli/tables/facts.py": "cli/inspect/test_command.py",
    "cli/tables/formats.py": "cli/test_export.py",
    # The parts of a node's configuration and of its queue, tested as the whole; its command, tested as it runs.
    "cli/node.py": "dicom/node/test_node.py",
    "dicom/node/field_checks.py": "dicom/node/test_config.py",
    "dicom/node/outcome.py": "dicom/node/test_queue.py",
    "dicom/node/sections.py": "dicom/node/test_config.py",
    "dicom/node/series_folder.py": "dicom/node/test_queue.py",
    "cli/tables/probe.py": "cli/devices/test_probe.py",
    # What writes the networks of the kernels.
    "devices/probe/networks.py": "devices/probe/test_kernels.py",
    "devices/probe/onnx_graph.py": "devices/probe/test_kernels.py",
    # Records that only a measurement fills.
    "devices/measurement/report.py": "devices/test_benchmark.py",
    "devices/planner/report.py": "devices/test_plan.py",
    # What rounds are made of.
    "devices/measurement/variant_run.py": "devices/measurement/test_rounds.py",
    # What a plan is made of, tested by its figures.
    "devices/planner/measured.py": "devices/test_plan_known_times.py",
    "devices/planner/planned_model.py": "devices/test_plan.py",
    "devices/planner/prediction.py": "devices/test_plan.py",
    # What all engines and all teachers inherit: their conformance suites.
    "runtime/engines/engine.py": "runtime/engines/test_engines.py",
    "teacher/config.py": "teacher/test_teachers.py",
    # Every fault of a checkpoint is met by a teacher that reads it.
    "teacher/autosam/weights.py": "teacher/sam/test_checkpoint.py",
    # The parts of the service, tested over HTTP.
    "service/app.py": "service/test_api.py",
    "service/events.py": "service/test_api.py",
    "service/intake.py": "service/test_api.py",
    "service/scan_options.py": "service/test_api.py",
    "service/segmenting.py": "service/test_worker.py",
    "service/json_answer.py": "service/test_api.py",
    "service/page_files.py": "service/test_page.py",
    "service/served_bundle.py": "service/test_api.py",
    # What runs in another process only.
    "processes/shard.py": "processes/test_cluster.py",
    "processes/worker.py": "processes/test_worker_pool.py",
}


def has_logic(path: Path) -> bool:
    """Whether a module has a function with more than a docstring; constants, records and Protocols need no test."""
    functions = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef))
    return path.name != "__init__.py" and any(
        not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        for function in functions
        for statement in function.body
    )


def mirrors_of(module: str) -> list[Path]:
    """Returns the mirror of a module, `test_x.py` for `x.py`, and what is split from it, such as `test_x_read.py`."""
    path = Path("tests", module).with_name(f"test_{Path(module).name}")
    parts = (ROOT / path.parent).glob(f"{path.stem}_*.py")
    own = [part for part in parts if str(Path(module).with_name(part.name.removeprefix("test_"))) not in MODULES]
    return [test for test in (ROOT / path, *own) if test.exists()]


@pytest.mark.parametrize("module", sorted(name for name, path in MODULES.items() if has_logic(path)))
def test_a_module_with_logic_has_tests_at_its_place(module):
    if module in ELSEWHERE:
        assert (ROOT / "tests" / ELSEWHERE[module]).exists()
    else:
        assert mirrors_of(module), f"expected tests/{Path(module).with_name('test_' + Path(module).name)}"


def test_only_modules_without_tests_at_their_place_are_listed_as_tested_elsewhere():
    assert [module for module in ELSEWHERE if module not in MODULES or mirrors_of(module)] == []
