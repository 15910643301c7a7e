"""Times students as they are against the same with every transposed convolution of 2³ written as one of 1³.

    python benchmarks/graph_forms/transposed.py model.fp32.onnx …

The second form gives 8 times the channels, which then take their places as voxels. Both run in turns in each engine,
with one thread; the processor's time counts.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import numpy as np
import onnx
from bedside.export.onnx_helpers import fixed_shapes
from bedside.runtime.engines import Engine, open_engine
from numpy.typing import NDArray
from onnx import helper, numpy_helper

ENGINES = (("openvino", "fp32"), ("openvino", "bf16"), ("onnxruntime", "fp32"))


def main() -> None:
    """Prints a row for each model and engine: milliseconds of both forms, ratio, how far logits differ."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("models", type=Path, nargs="+", metavar="MODEL", help="ONNX of a bundle")
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    print("| model | layers | engine | as it is, ms | rewritten, ms | ratio | largest difference |")
    print("| -- | -- | -- | -- | -- | -- | -- |")
    for file in given.models:
        model = onnx.load(file)
        rewritten, layers = without_transposed(model)
        shape = (1, *fixed_shapes(model)[model.graph.input[0].name][1:])
        image = np.random.default_rng(0).standard_normal(shape, np.float32)
        for name, precision in ENGINES:
            engines = [
                open_engine(name, each.SerializeToString(), threads=1, precision=precision)
                for each in (model, rewritten)
            ]
            before, after = (engine.infer(image).copy() for engine in engines)
            pairs = [tuple(seconds(engine, image) for engine in engines) for _ in range(given.rounds)]
            ratio = median(second / first for first, second in pairs)
            first, second = (1000 * median(times) for times in zip(*pairs, strict=True))
            difference = np.abs(before - after).max()
            row = (f"{file.parent.name}/{file.name}", layers, f"{name} {precision}")
            print(f"| {' | '.join(map(str, row))} | {first:.1f} | {second:.1f} | {ratio:.2f} | {difference:.2g} |")
            for engine in engines:
                engine.close()


def without_transposed(model: onnx.ModelProto) -> tuple[onnx.ModelProto, int]:
    """Returns a copy without transposed convolutions of 2³ and stride 2, and how many it had."""
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    graph, shapes = rewritten.graph, fixed_shapes(model)
    constants = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    layers = 0
    for node in model.graph.node:
        if node.op_type != "ConvTranspose" or constants[node.input[1]].shape[2:] != (2, 2, 2):
            nodes.append(node)
            continue
        weight, size, name = constants[node.input[1]], shapes[node.input[0]][2:], f"voxels{layers}"
        inputs, outputs = weight.shape[:2]
        added = {
            "weight": np.ascontiguousarray(weight.transpose(1, 2, 3, 4, 0).reshape(-1, inputs, 1, 1, 1)),
            "apart": np.array([0, outputs, 2, 2, 2, *size]),
            "whole": np.array([0, outputs, *(2 * length for length in size)]),
            **({"bias": np.repeat(constants[node.input[2]], 8)} if len(node.input) > 2 else {}),
        }
        graph.initializer.extend(numpy_helper.from_array(value, f"{name}.{key}") for key, value in added.items())
        weights = [f"{name}.{key}" for key in ("weight", "bias") if key in added]
        nodes += [
            helper.make_node("Conv", [node.input[0], *weights], [f"{name}.conv"], kernel_shape=[1, 1, 1]),
            helper.make_node("Reshape", [f"{name}.conv", f"{name}.apart"], [f"{name}.parts"]),
            helper.make_node("Transpose", [f"{name}.parts"], [f"{name}.placed"], perm=[0, 1, 5, 2, 6, 3, 7, 4]),
            helper.make_node("Reshape", [f"{name}.placed", f"{name}.whole"], list(node.output)),
        ]
        layers += 1
    used = {name for node in nodes for name in node.input}
    kept = [each for each in graph.initializer if each.name in used]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)
    return rewritten, layers


def seconds(engine: Engine, image: NDArray[np.float32]) -> float:
    """Returns the processor's seconds of one window."""
    begun = time.process_time()
    engine.infer(image)
    return time.process_time() - begun


if __name__ == "__main__":
    main()
