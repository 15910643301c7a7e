"""Times one student on one scan: MONAI on torch, this runtime with every variant, and nnU-Net's predictor.

    python benchmarks/speed/speed.py STUDENT_RUN SCAN [--spacing 1.5 --patch 96] [--nnunet-python PYTHON] -o table.md

Every method runs in a process of its own, one after the other, with the same windows; its time is from the scan's file
to the label map in memory on the scan's grid, model loaded. MONAI runs first and last, which shows how far the machine
drifted. README.md beside this file says what is measured how.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from comparison import AUTO, AUTO_SKIPPING_AIR, MONAI, MONAI_PAPER, NNUNET, OVERLAP, Comparison
from job import Job
from speed_table import table

if TYPE_CHECKING:
    from bedside.runtime import Task, Volume

VARIANTS = "variants"
BODY_HU = -500


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run directory of the student")
    parser.add_argument("scan", type=Path, help="a CT")
    parser.add_argument("--spacing", type=float, nargs="+", metavar="MM", help="replaces the task's: one, or x y z")
    parser.add_argument("--patch", type=int, nargs="+", metavar="VOXELS", help="replaces the task's: one, or x y z")
    parser.add_argument("--bundle", type=Path, help="exported from the student for this task; else it is exported now")
    parser.add_argument("--calibration", type=Path, nargs="+", help="scans that calibrate int8; else SCAN")
    parser.add_argument(
        "--repeats", type=int, default=3, help="timed passes of each method; the paper's setting gets one"
    )
    parser.add_argument("--threads", type=int, help="CPU threads of each method; else all there are")
    parser.add_argument("--nnunet-python", type=Path, help="interpreter that has nnunetv2")
    parser.add_argument(
        "--methods",
        nargs="*",
        help=f"beside {MONAI}: {MONAI_PAPER}, {VARIANTS} or single ones such as openvino-fp32, "
        f"{AUTO}, {AUTO_SKIPPING_AIR}, {NNUNET}; else all of them",
    )
    parser.add_argument("-o", "--output", type=Path, help="Markdown file for the tables")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error(f"--repeats: expected at least 1, got {arguments.repeats}")
    if NNUNET in (arguments.methods or ()) and arguments.nnunet_python is None:
        parser.error(f"{NNUNET}: give --nnunet-python, an interpreter that has nnunetv2")
    return arguments


def changed(task: Task, spacing: list[float] | None, patch: list[int] | None) -> Task:
    """Returns the task with another spacing (mm) or patch (voxels), of one number for all axes or three."""
    changes = {}
    for name, values in (("spacing", spacing), ("patch", patch)):
        if values:
            changes[name] = tuple(values * 3 if len(values) == 1 else values)
    return task.replaced(**changes)


def exported(run: Path, task: Task, calibration: list[Path], threads: int | None, out: Path) -> Path:
    """Exports the student for a task, without gate; returns the bundle."""
    from bedside.distill import load_student
    from bedside.export import ExportCases, ExportOptions, export_bundle

    cases = ExportCases(calibration=calibration)
    options = ExportOptions(cases=cases, gate_cases=0, keep_failed=True, threads=threads)
    return export_bundle(replace(load_student(run), task=task), out, options)


def write_piece(scan: Volume, task: Task, out: Path) -> Path:
    """Writes the middle of a scan, one window in size along every axis."""
    from bedside.runtime import Grid, write_volume

    extent = max(size * step for size, step in zip(task.patch, task.spacing, strict=True))
    shape = scan.grid.shape
    sizes = [min(size, math.ceil(extent / step)) for size, step in zip(shape, scan.grid.spacing, strict=True)]
    first = [(whole - size) // 2 for whole, size in zip(shape, sizes, strict=True)]
    x, y, z = (slice(start, start + size) for start, size in zip(first, sizes, strict=True))
    affine = scan.grid.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ first
    write_volume(out, scan.data[x, y, z], Grid(sizes, affine))
    return out


def variants(bundle: Path) -> list[str]:
    """Returns the bundle's variants that this machine can run, as ``engine-precision``."""
    from bedside.runtime import Bundle
    from bedside.runtime.engines import supports

    with Bundle.open(bundle) as opened:
        pairs = [(variant.engine, variant.precision) for variant in opened.manifest.variants]
    return [f"{engine}-{precision}" for engine, precision in pairs if supports(engine, precision)]


def chosen(asked: list[str] | None, runnable: list[str], nnunet: bool) -> list[str]:
    """Returns the methods to run, MONAI first and last.

    Args:
        asked: methods named on the command line; None for all.
        runnable: the bundle's variants.
        nnunet: whether there is an interpreter for nnU-Net.
    """
    if asked is None:
        asked = [MONAI_PAPER, VARIANTS, AUTO, AUTO_SKIPPING_AIR, *([NNUNET] if nnunet else [])]
    methods: list[str] = []
    for method in asked:
        methods += runnable if method == VARIANTS else [method]
    known = {MONAI_PAPER, AUTO, AUTO_SKIPPING_AIR, NNUNET, *runnable}
    unknown = [method for method in methods if method not in known]
    if unknown:
        raise SystemExit(
            f"--methods: expected {VARIANTS} or some of {', '.join(sorted(known))}; got {', '.join(unknown)}"
        )
    return [MONAI, *methods, MONAI]


def main() -> None:
    arguments = parse()
    from bedside.devices import detect
    from bedside.distill import load_student
    from bedside.runtime import Bundle, read_volume

    student = load_student(arguments.run)
    task = changed(student.task, arguments.spacing, arguments.patch)
    scan = read_volume(arguments.scan)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["BEDSIDE_CACHE"] = str(folder / "cache")  # an empty cache of engine choices, deleted afterwards
        bundle = arguments.bundle
        if bundle is None:
            calibration = arguments.calibration or [arguments.scan]
            bundle = exported(arguments.run, task, calibration, arguments.threads, folder / "student.bedside")
        with Bundle.open(bundle) as opened:
            if (opened.task.spacing, opened.task.patch) != (task.spacing, task.patch):
                raise SystemExit("--bundle: expected the student's spacing and patch, or --spacing and --patch as its")
        common = Job(
            scan=str(arguments.scan),
            piece=str(write_piece(scan, task, folder / "piece.nii.gz")),
            labels="",
            repeats=arguments.repeats,
            threads=arguments.threads,
            overlap=OVERLAP,
        )
        comparison = Comparison(
            common, task, arguments.run, bundle, arguments.nnunet_python, scan.data > BODY_HU, folder
        )
        host = detect()
        heading = (
            f"{host.cpu.model}, {arguments.threads or host.usable_cores} cores; {student.student}, {task.num_classes} "
            f"classes, window {by_axis(task.patch)}, overlap {OVERLAP}; scan {by_axis(scan.grid.shape)} voxels of "
            f"{by_axis(scan.grid.spacing)} mm, worked on at {by_axis(task.spacing)} mm; passes: {arguments.repeats}."
        )
        for method in chosen(arguments.methods, variants(bundle), arguments.nnunet_python is not None):
            comparison.run(method)
            text = f"{heading}\n\n{table(comparison.rows)}"
            if arguments.output:
                arguments.output.write_text(text)  # after every method, so that a later failure loses no figures
        print(text)


def by_axis(numbers: tuple[float, ...]) -> str:
    """Returns sizes along x, y, z as text: ``122×101×112``."""
    return "×".join(f"{number:.4g}" for number in numbers)


if __name__ == "__main__":
    main()
