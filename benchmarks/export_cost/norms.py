"""Compares norms as exported with norms that sum in parts: closeness of fp32 to the student, and time of a window."""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from pathlib import Path
from statistics import median

import torch
from bedside.distill import load_student
from bedside.export import ExportCases
from bedside.export.onnx_graphs.norms_in_parts import norms_in_parts
from bedside.export.onnx_graphs.onnx_export import student_to_onnx
from bedside.export.reference import Reference
from bedside.runtime.engines import open_engine
from bedside.training.data.dataset import load_dataset


def main() -> None:
    """Prints a Markdown table of both, and the ratio of their times, measured in turns in the processor's seconds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("run", type=Path, help="run directory of a student")
    parser.add_argument("dataset", type=Path, help="data set with labelled test scans")
    parser.add_argument("--engine", default="openvino")
    parser.add_argument("--cases", type=int, default=2, help="test scans that patches are drawn from")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    torch.set_num_threads(1)
    student = load_student(options.run)
    test = load_dataset(options.dataset, labels=student.task.labels).test
    labelled = [(case.image, case.label) for case in test if case.label is not None]
    reference = Reference.from_student(student.model, student.task, ExportCases(gate=labelled[: options.cases]))
    plain = student_to_onnx(reference.network, student.task.patch.dhw)
    models = {"as exported": plain, "in parts": norms_in_parts(plain)}
    patch = reference.golden.patch
    engines = {
        name: open_engine(options.engine, model.SerializeToString(), threads=1) for name, model in models.items()
    }
    print("| norms | largest difference of a probability | same label | same label, golden patch |")
    print("| -- | -- | -- | -- |")
    with closing(engines["as exported"]) as own, closing(engines["in parts"]) as parts:
        for name, engine in engines.items():
            parity, golden = reference.compare_on_patches(engine).parity, reference.golden.agreement(engine)
            print(f"| {name} | {parity.max_abs_probability:.2g} | {parity.label_agreement:.5%} | {golden:.5%} |")
        ratios: list[float] = []
        for _ in range(options.rounds):
            begun = time.process_time()
            parts.infer(patch)
            between = time.process_time()
            own.infer(patch)
            ratios.append((between - begun) / (time.process_time() - between))
    print(f"\nIn parts takes {median(ratios):.2f} times as long ({min(ratios):.2f} to {max(ratios):.2f}).")


if __name__ == "__main__":
    main()
