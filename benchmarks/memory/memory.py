"""What a large scan takes in memory: measured, predicted, and under the smallest limit that is accepted.

    python benchmarks/memory/memory.py [--bundle BUNDLE | --student unet-nano] [--planes 215 824] -o table.md

Every case runs in a process of its own. README.md beside this file says what is measured how.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from bedside.runtime import Bundle
from bedside.runtime.task_presets import PRESETS
from measure_scan import Case, Measured
from synthetic_ct import EDGE, write_scan

SPACING_MM = 1.5
PATCH = 96
SCRIPT = Path(__file__).parent / "measure_scan.py"


def exported(name: str, out: Path) -> Path:
    """Exports a student with fresh weights and 14 classes, fp32 only; returns the bundle."""
    import torch
    from bedside.distill import build_student
    from bedside.export import ExportOptions, TrainedStudent, export_bundle

    torch.manual_seed(0)
    task = PRESETS["btcv"].replaced(spacing=(SPACING_MM,) * 3, patch=(PATCH,) * 3)
    model = build_student(name, num_classes=task.num_classes).eval()
    student = TrainedStudent(model=model, task=task, student=name)
    return export_bundle(student, out, ExportOptions(gate_cases=0, precisions=("fp32",)))


def run(case: Case) -> str:
    """Runs a case in a process of its own and returns what it prints."""
    done = subprocess.run([sys.executable, str(SCRIPT)], input=json.dumps(asdict(case)), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{SCRIPT.name} failed:\n{done.stderr}")
    return done.stdout


def table(rows: Sequence[tuple[int, Measured]]) -> str:
    """Returns the cases as Markdown.

    Args:
        rows: (planes of the scan, its figures).
    """
    lines = [
        "| planes | memory limit, MB | execution plan | predicted, MB | measured, MB | predicted/measured "
        "| whole process, MB | while segmenting, MB | windows | seconds | MONAI's accumulator (computed), MB |",
        "|---" * 11 + "|",
    ]
    for planes, row in rows:
        limit = "none" if row.limit is None else f"{row.limit / 1e6:.0f}"
        lines.append(
            f"| {planes} | {limit} | {row.plan} | {row.predicted / 1e6:.0f} | {row.above_engine / 1e6:.0f} "
            f"| {row.predicted / row.above_engine:.3f} | {row.process / 1e6:.0f} | {row.run / 1e6:.0f} "
            f"| {row.windows} | {row.seconds:.1f} | {4 * row.classes * row.voxels / 1e6:.0f} |"
        )
    return "\n".join(lines) + "\n"


def broken_limits(rows: Sequence[tuple[int, Measured]]) -> list[str]:
    """Returns the cases in which a process held more than its limit while it segmented."""
    return [
        f"{planes} planes: held {row.run / 1e6:.1f} MB under a limit of {row.limit / 1e6:.1f} MB"
        for planes, row in rows
        if row.limit is not None and row.run > row.limit
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--bundle", type=Path)
    source.add_argument("--student", default="unet-nano", help="exported with fresh weights, 14 classes, window 96³")
    parser.add_argument("--planes", type=int, nargs="+", default=[215, 824], help="of the scans, 512×512 voxels each")
    parser.add_argument("--engine", default="auto", help="as in `bedside segment`; named together with …")
    parser.add_argument("--precision", default="auto", help="… this and …")
    parser.add_argument("--threads", type=int, help="… these, it runs in one stream")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file for the table")
    arguments = parser.parse_args()
    from bedside.devices import detect

    rows: list[tuple[int, Measured]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["BEDSIDE_CACHE"] = str(folder / "cache")  # an empty cache of engine choices, deleted afterwards
        bundle = arguments.bundle or exported(arguments.student, folder / "student.bedside")
        with Bundle.open(bundle) as opened:
            task, student = opened.task, opened.manifest.provenance.student

        def case(scan: Path | None, tight: bool = False) -> Case:
            return Case(
                bundle=str(bundle),
                scan=None if scan is None else str(scan),
                tight=tight,
                engine=arguments.engine,
                precision=arguments.precision,
                threads=arguments.threads,
            )

        run(case(None))
        for planes in arguments.planes:
            scan = folder / f"{planes}.nii.gz"
            write_scan(scan, planes, task.spacing)
            for tight in (False, True):
                print(f"{planes} planes{', smallest limit' if tight else ''} …", file=sys.stderr, flush=True)
                rows.append((planes, Measured(**json.loads(run(case(scan, tight))))))
            scan.unlink()
    host = detect()
    text = (
        f"{host.cpu.model}, {arguments.threads or host.usable_cores} cores; {student}, {rows[0][1].engine}, "
        f"{task.num_classes} classes, window {'×'.join(map(str, task.patch))}; scans of {EDGE}×{EDGE} planes at "
        f"{'×'.join(f'{step:.4g}' for step in task.spacing)} mm.\n\n{table(rows)}"
    )
    print(text)
    if arguments.output:
        arguments.output.write_text(text)
    if broken := broken_limits(rows):
        raise SystemExit("\n".join(broken))


if __name__ == "__main__":
    main()
