"""The students that predictions are compared on: ONNX files of fresh weights."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from pathlib import Path

import numpy as np

STUDENTS = ("unet-edge-base", "unet-nano", "unet-edge-fullres-small", "unet-edge-residual", "unet-edge-small")
EDGES = (64, 96)
CLASSES = 14


def model_file(folder: Path, student: str, edge: int, precision: str) -> Path:
    """Returns a student's ONNX with fresh weights; makes it where it is not there yet."""
    path = folder / f"{student}.{edge}.{precision if 'int8' in precision else 'fp32'}.onnx"
    if not path.exists():
        import torch
        from bedside.distill import build_student
        from bedside.export.int8.signed import quantize_signed
        from bedside.export.int8.unsigned import quantize_unsigned
        from bedside.export.onnx_graphs.onnx_export import student_to_onnx
        from bedside.runtime.axes import DHW

        torch.manual_seed(0)
        patch = DHW(edge, edge, edge)
        model = student_to_onnx(build_student(student, num_classes=CLASSES), patch)
        if precision in ("int8", "uint8"):
            noise = np.random.default_rng(0).standard_normal((1, 1, *patch), np.float32)
            model = (quantize_signed if precision == "int8" else quantize_unsigned)(model, [noise]).model
        path.write_bytes(model.SerializeToString())
    return path


def make_models(folder: Path, students: Iterable[str], precisions: Iterable[str]) -> None:
    """Makes the models of the students beforehand, so that making one takes nothing from what is measured."""
    for student, precision, edge in product(students, precisions, EDGES):
        model_file(folder, student, edge, precision)
