"""How much faster are uint8 and int8 than fp32 in ONNX Runtime on this CPU, for single layers and for students?

python benchmarks/quantization/onnxruntime_times.py --layers
python benchmarks/quantization/onnxruntime_times.py --student unet-edge-base --student unet-edge-large
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from bedside.benchmarks.shared.step_seconds import fastest_seconds
from bedside.devices.probe.kernels import Kernel
from bedside.devices.probe.probe import SeriesSetting, time_kernel
from bedside.runtime.axes import DHW
from bedside.runtime.engines import Precision, open_engine

if TYPE_CHECKING:
    import torch

CHANNELS = (8, 16, 24, 32, 48, 64, 96, 128)
SECONDS = 1.0  # of one layer in one precision
WORK = 1 << 25  # multiplications of a 1³ kernel, about: fewer voxels where there are more channels
CLASSES, EDGE, ROUNDS = 14, 64, 9
NNUNET = "nnU-Net"  # five stages of its 3d_fullres, as it plans them for windows of 64³
STAGES = (32, 64, 128, 256, 320)


def layer_seconds(inner: int, columns: int, precision: Precision) -> float | str:
    """Returns the time of a 3³ convolution with its activation, in s, or why there is none."""
    edge = max(8, min(48, round((WORK / (inner * columns)) ** (1 / 3) / 8) * 8))
    kernel = Kernel("conv", inner, columns, edge, quantized=precision != "fp32")
    timed = time_kernel(kernel, SeriesSetting("onnxruntime", precision, 1), SECONDS, "processor time")
    return timed if isinstance(timed, str) else timed.seconds


def print_layers() -> None:
    """Prints a table of fp32's time over uint8's, by channels."""
    print(f"fp32 / uint8\n\n| channels in \\ out | {' | '.join(map(str, CHANNELS))} |")
    print("| -- " * (len(CHANNELS) + 1) + "|")
    for inner in CHANNELS:
        cells: list[str] = []
        for columns in CHANNELS:
            exact, quantized = (layer_seconds(inner, columns, each) for each in ("fp32", "uint8"))
            if isinstance(exact, str) or isinstance(quantized, str):
                print(exact, quantized, file=sys.stderr)
                cells.append("–")
            else:
                cells.append(f"{exact / quantized:.2f}")
        print(f"| {inner} | {' | '.join(cells)} |", flush=True)


def network(name: str) -> torch.nn.Module:
    """Returns a student, or an nnU-Net, with fresh weights."""
    if name != NNUNET:
        from bedside.distill import build_student

        return build_student(name, num_classes=CLASSES).eval()
    from bedside.export.networks.nnunet_network import UNet
    from bedside.export.networks.nnunet_plans import Architecture, ArchitectureArguments

    count = len(STAGES)
    arguments = ArchitectureArguments(
        n_stages=count,
        features_per_stage=list(STAGES),
        conv_op="torch.nn.modules.conv.Conv3d",
        kernel_sizes=[[3] * 3] * count,
        strides=[[1] * 3, *([[2] * 3] * (count - 1))],
        n_conv_per_stage=[2] * count,
        n_conv_per_stage_decoder=[2] * (count - 1),
        conv_bias=True,
        norm_op="torch.nn.modules.instancenorm.InstanceNorm3d",
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin="torch.nn.LeakyReLU",
    )
    return UNet(Architecture(network_class_name="PlainConvUNet", arch_kwargs=arguments), CLASSES).eval()


def student_seconds(name: str) -> dict[str, float]:
    """Returns the processor time of a window in fp32, int8 and uint8, in turns, the fastest of each."""
    import torch
    from bedside.export.int8.signed import quantize_signed
    from bedside.export.int8.unsigned import quantize_unsigned
    from bedside.export.onnx_graphs.onnx_export import student_to_onnx

    torch.manual_seed(0)
    patch = np.random.default_rng(0).standard_normal((1, 1, EDGE, EDGE, EDGE), np.float32)
    exact = student_to_onnx(network(name), DHW(EDGE, EDGE, EDGE))
    models = {
        "fp32": exact,
        "int8": quantize_signed(exact, [patch]).model,
        "uint8": quantize_unsigned(exact, [patch]).model,
    }
    with ExitStack() as stack:
        engines = {
            precision: stack.enter_context(
                open_engine("onnxruntime", model.SerializeToString(), threads=1, precision=precision)
            )
            for precision, model in models.items()
        }
        windows = {precision: partial(engine.infer, patch) for precision, engine in engines.items()}
        return fastest_seconds(windows, ROUNDS)


def print_students(names: Sequence[str]) -> None:
    """Prints a table of the students' times."""
    print("| student | fp32, ms | int8 / fp32 | uint8 / fp32 |\n| -- | -- | -- | -- |")
    for name in names:
        seconds = student_seconds(name)
        ratios = [f"{seconds[precision] / seconds['fp32']:.2f}" for precision in ("int8", "uint8")]
        print(f"| {name} | {1e3 * seconds['fp32']:.0f} | {' | '.join(ratios)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", action="store_true", help="time single convolutions")
    parser.add_argument(
        "--student", action="append", default=[], help=f"time a student, or {NNUNET}, with fresh weights"
    )
    given = parser.parse_args()
    if given.layers:
        print_layers()
    if given.student:
        print_students(given.student)
    if not given.layers and not given.student:
        parser.error("expected --layers or --student NAME")


if __name__ == "__main__":
    main()
