"""Writes the bundle of a student with random weights and the locator of another bundle.

    python benchmarks/locator/untrained_student.py LOCATED OUT [--student NAME] [--spacing X Y Z] [--patch X Y Z]

A window costs what it costs with trained weights, and the locator, which decides how many windows run, is a trained
one. So students at any spacing can be timed without training them first; their labels mean nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec
import torch
from bedside.distill import build_student
from bedside.export import ExportCases, ExportOptions, TrainedStudent, export_bundle
from bedside.runtime import Bundle, write_manifest


def write_untrained(
    located: Path,
    out: Path,
    student: str,
    spacing: tuple[float, float, float],
    patch: tuple[int, int, int],
    overlap: float,
) -> None:
    """Exports a student with random weights in fp32, and adds a locator as another bundle has it.

    Args:
        located: a bundle with a locator.
        out: bundle to write, a directory.
        student: registered name of the student.
        spacing: (x, y, z) of its task in mm.
        patch: its window (x, y, z) in voxels.
        overlap: the bundle's recommended overlap of windows.

    Raises:
        SystemExit: the bundle has no locator.
    """
    with Bundle.open(located) as bundle:
        entry = bundle.manifest.locator
        if entry is None:
            raise SystemExit(f"{located.name} has no locator; export it with --locator")
        task = bundle.task.replaced(spacing=spacing, patch=patch)
        torch.manual_seed(0)
        network = build_student(student, num_classes=task.num_classes).eval()
        options = ExportOptions(
            cases=ExportCases(), precisions=("fp32",), onnx_only=True, overlap=overlap, overlap_reason="as given"
        )
        export_bundle(TrainedStudent(model=network, task=task, student=student), out, options)
        with Bundle.open(out) as written:
            manifest = written.manifest
        for name in entry.files:
            (out / name).write_bytes(bundle.read(name))
    write_manifest(out, msgspec.structs.replace(manifest, locator=entry))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("located", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--student", default="unet-edge-base")
    parser.add_argument("--spacing", type=float, nargs=3, default=(1.5, 1.5, 2.0))
    parser.add_argument("--patch", type=int, nargs=3, default=(64, 64, 64))
    parser.add_argument("--overlap", type=float, default=0.25)
    given = parser.parse_args()
    write_untrained(given.located, given.out, given.student, tuple(given.spacing), tuple(given.patch), given.overlap)


if __name__ == "__main__":
    main()
