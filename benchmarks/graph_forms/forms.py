"""Times a student in every form that its ONNX could have, all in turns in one process.

    python benchmarks/graph_forms/forms.py --student swinunetr-tiny --patch 96 96 96
    python benchmarks/graph_forms/forms.py --model model.fp32.onnx --model model.int8.onnx

Each engine runs with one thread, and the processor's time counts: as a ratio to the form that `bedside export` writes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
import onnxruntime
import torch
from bedside.distill import build_student
from bedside.export.onnx_graphs import onnx_export, window_attention
from bedside.export.onnx_graphs.label_model import onnx_of_labels
from bedside.export.onnx_graphs.norms_in_parts import norms_in_parts
from bedside.export.onnx_graphs.onnx_helpers import fixed_shapes
from bedside.runtime.axes import DHW
from bedside.runtime.engines import open_engine
from bedside.runtime.engines.open_vino import openvino_core
from bedside.runtime.labels.best_class import best_class
from numpy.typing import NDArray
from rewritten import bias_as_constants, transposed_as_convolutions

Model = onnx.ModelProto
Run = Callable[[NDArray[np.float32]], NDArray[Any]]

ENGINES = (("openvino", "fp32"), ("openvino", "bf16"), ("onnxruntime", "fp32"))
WRITTEN = "as export writes it"
ON_HOST = "logits, then the best class outside the graph"
LABELS = "labels from the graph"


def main() -> None:
    """Prints a table for each student and model: a row for each form, a column for each engine."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--student", action="append", default=[], metavar="NAME", help="with random weights")
    parser.add_argument("--patch", type=int, nargs=3, default=(96, 96, 96), metavar=("D", "H", "W"))
    parser.add_argument("--classes", type=int, default=14)
    parser.add_argument("--model", type=Path, action="append", default=[], metavar="ONNX", help="of a bundle")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    for name in given.student:
        torch.manual_seed(0)
        student = build_student(name, num_classes=given.classes).eval()
        print_table(name, exported_forms(student, DHW(*given.patch)), given.rounds)
    for file in given.model:
        print_table(f"{file.parent.name}/{file.name}", rewritten_forms(onnx.load(file)), given.rounds)


def exported_forms(student: torch.nn.Module, patch_dhw: DHW) -> dict[str, Model]:
    """Returns the forms of a student by name; those that change nothing are left out.

    Args:
        student: network in evaluation mode.
        patch_dhw: patch in voxels.
    """
    written = onnx_export.student_to_onnx(student, patch_dhw)
    with patch.object(window_attention, "replace_masks"):
        masks = onnx_export.student_to_onnx(student, patch_dhw)
    with patch.object(onnx_export, "flatten_transposes"):
        volumes = onnx_export.student_to_onnx(student, patch_dhw)
    other = {"with masks of shifted windows": masks, "with transposes of volumes": volumes}
    return {**rewritten_forms(written), **differing(other, written)}


def rewritten_forms(written: Model) -> dict[str, Model]:
    """Returns a model and its other forms, by name; those that change nothing are left out."""
    other = {
        "position bias as constants": bias_as_constants(written),
        "transposed convolutions as 1³": transposed_as_convolutions(written),
        "norms summed in parts": norms_in_parts(written),
    }
    return {WRITTEN: written, **differing(other, written), LABELS: onnx_of_labels(written)}


def differing(forms: Mapping[str, Model], written: Model) -> dict[str, Model]:
    """Returns the forms whose nodes are not those of the model that export writes."""
    return {name: model for name, model in forms.items() if model.graph.node != written.graph.node}


def print_table(title: str, forms: Mapping[str, Model], rounds: int) -> None:
    """Prints the table of one student.

    Args:
        title: name of the student.
        forms: its forms, that which export writes first.
        rounds: how often every form runs.
    """
    columns = [measured(forms, engine, precision, rounds) for engine, precision in ENGINES]
    print(f"\n{title}\n\n| form | {' | '.join(' '.join(each) for each in ENGINES)} | largest difference in fp32 |")
    print("| -- |" + " -- |" * (len(ENGINES) + 1))
    for name in columns[0]:
        cells = [f"{column[name].ratio:.2f} ({column[name].milliseconds:.0f} ms)" for column in columns]
        print(f"| {name} | {' | '.join(cells)} | {columns[0][name].difference:.2g} |", flush=True)


class Form:
    """What was measured of a form.

    Args:
        seconds: of each round.
        written: of the form that export writes, in the same rounds.
        difference: largest difference from that form's output.
    """

    def __init__(self, seconds: Sequence[float], written: Sequence[float], difference: float) -> None:
        self.ratio = median(own / other for own, other in zip(seconds, written, strict=True))
        self.milliseconds = 1000 * median(seconds)
        self.difference = difference


def measured(forms: Mapping[str, Model], engine: str, precision: str, rounds: int) -> dict[str, Form]:
    """Runs all forms in turns in one engine, and returns what was measured by their names."""
    written = forms[WRITTEN]
    shape = (1, *fixed_shapes(written)[written.graph.input[0].name][1:])
    image = np.random.default_rng(0).standard_normal(shape, np.float32)
    runs = {name: runner(model, engine, precision) for name, model in forms.items() if name != LABELS}
    logits = runs[WRITTEN]
    runs[ON_HOST] = lambda image: best_class(logits(image)[0])
    runs[LABELS] = labels_runner(forms[LABELS], engine, precision)
    outputs = {name: run(image) for name, run in runs.items()}  # the first run allocates memory
    seconds = [{name: timed(run, image) for name, run in runs.items()} for _ in range(rounds)]
    reference = {name: outputs[ON_HOST] if name in (ON_HOST, LABELS) else outputs[WRITTEN] for name in runs}
    return {
        name: Form(
            [each[name] for each in seconds],
            [each[WRITTEN] for each in seconds],
            float(np.abs(outputs[name].astype(np.float32) - reference[name]).max()),
        )
        for name in runs
    }


def runner(model: Model, engine: str, precision: str) -> Run:
    """Returns what runs a window in an engine of the runtime, which stays open as long as the result."""
    return open_engine(engine, model.SerializeToString(), threads=1, precision=precision).infer


def labels_runner(model: Model, engine: str, precision: str) -> Run:
    """Returns what runs a window of a model that gives labels, which the runtime does not take."""
    if engine == "onnxruntime":
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        return lambda image: np.asarray(session.run(None, {session.get_inputs()[0].name: image})[0])[0]
    core = openvino_core()
    network = core.read_model(model.SerializeToString())
    network.reshape({network.inputs[0]: [1, *list(network.inputs[0].partial_shape)[1:]]})
    hints = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32"}
    request = core.compile_model(network, "CPU", hints).create_infer_request()
    return lambda image: np.array(request.infer([image])[0])[0]


def timed(run: Run, image: NDArray[np.float32]) -> float:
    """Returns the processor's seconds of one window."""
    begun = time.process_time()
    run(image)
    return time.process_time() - begun


if __name__ == "__main__":
    main()
