"""The plug-in that gives the candidates to bedside: a package of one module, with an entry point for each of them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bedside.distill.students.edge_unet_design import EdgeUNetDesign

_MODULE = '''"""Candidates of a search for students, which design.json describes."""

import json
from functools import partial
from pathlib import Path

from bedside.distill import STUDENTS
from bedside.distill.students.edge_unet import EdgeUNet
from bedside.distill.students.edge_unet_design import EdgeUNetDesign
from bedside.distill.students.spec import StudentSpec

_DESIGNS = json.loads(Path(__file__).with_name("designs.json").read_text())


def __getattr__(name):
    if name not in _DESIGNS:
        raise AttributeError(name)
    design = EdgeUNetDesign(**{key: tuple(v) if isinstance(v, list) else v for key, v in _DESIGNS[name].items()})
    recipe = STUDENTS.find("unet-edge-base").recipe
    return StudentSpec(partial(_build, design=design), "a search", design.patch_rule, recipe=recipe)


def _build(num_classes, *, design):
    return EdgeUNet(num_classes, design)
'''


def write_plug_in(folder: Path, designs: Mapping[str, EdgeUNetDesign]) -> None:
    """Writes the package; with the folder on ``PYTHONPATH``, bedside knows each design as a student.

    Args:
        folder: folder to write.
        designs: name → design; names are identifiers.
    """
    metadata = folder / "searched_students-0.dist-info"
    metadata.mkdir(parents=True, exist_ok=True)
    (folder / "searched_students.py").write_text(_MODULE)
    (folder / "designs.json").write_text(json.dumps({name: asdict(design) for name, design in designs.items()}))
    rows = "".join(f"{name} = searched_students:{name}\n" for name in designs)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: searched-students\nVersion: 0\n")
    (metadata / "entry_points.txt").write_text(f"[bedside.students]\n{rows}")


def with_plug_in(folder: Path) -> dict[str, str]:
    """Returns the environment of a process that knows the designs."""
    path = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
