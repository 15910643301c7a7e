"""How far int8, bfloat16 and scaled logits move a trained student's probabilities near the borders of organs.

The bounds of the gate (`export/gate/verdict.py`) were chosen between the figures of variants that serve and those of
logits that keep every label and lose their confidence.

    python benchmarks/gate/confidence.py RUN BUNDLE DATASET
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from bedside.distill import load_student
from bedside.export import ExportCases
from bedside.export.gate.borders import BorderComparison
from bedside.export.patches import organ_patches
from bedside.runtime import Bundle
from bedside.runtime.engines import open_engine
from bedside.runtime.labels.probabilities import softmax

FACTORS = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5, 0.3)
PATCHES = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="run directory of a student")
    parser.add_argument("bundle", type=Path, help="its bundle, with variants that failed")
    parser.add_argument("dataset", type=Path)
    given = parser.parse_args()
    student = load_student(given.run)
    task, network = student.task, student.model.cpu().eval()
    patches = organ_patches(ExportCases.of_dataset(given.dataset, task, 10).gate, task, PATCHES, seed=1)

    def infer(image: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(image)).float().numpy()

    expected = [infer(patch.image)[0] for patch in patches]
    print("| probabilities of | organ | mean |Δp| | shift of confidence | error against labels | same label |")
    print("| -- | -- | -- | -- | -- | -- |")

    def show(name: str, logits: Callable[[int], np.ndarray]) -> None:
        comparison, agreement = BorderComparison(task.num_classes), []
        for number, patch in enumerate(patches):
            own, reference = logits(number), expected[number]
            comparison.add(softmax(own), softmax(reference), patch.truth, None)
            agreement.append((own.argmax(0) == reference.argmax(0)).mean())
        for organ, border in comparison.figures(task.labels).items():
            figures = (border.difference, border.confidence_shift, border.confidence_error)
            row = " | ".join("–" if figure is None else f"{figure:.4f}" for figure in figures)
            print(f"| {name} | {organ} | {row} | {100 * np.mean(agreement):.3f} % |", flush=True)

    for factor in FACTORS:
        show(f"logits × {factor:g}", lambda number, factor=factor: factor * expected[number])
    with torch.autocast("cpu", torch.bfloat16):
        show("bfloat16 in torch", lambda number: infer(patches[number].image)[0])
    with Bundle.open(given.bundle) as bundle:
        for variant in bundle.manifest.variants:
            engine = open_engine(variant.engine, bundle.model(variant), precision=variant.precision)
            show(variant.name, lambda number, engine=engine: engine.infer(patches[number].image)[0])
            engine.close()


if __name__ == "__main__":
    main()
