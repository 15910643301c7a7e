"""Of how many small convolutions is the weight gradient in bfloat16 wrong on this CPU?

    python benchmarks/training_speed/small_layers.py

Every layer has 16 channels, a batch of 2, and padding of none, one or half a kernel; `filled_memory` shows what is
not computed. Each kernel has a process of its own, for a wrong gradient may end its process. README.md has the figures.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
from collections.abc import Iterator

import torch
from bedside.training.loop.precision_check import filled_memory
from torch.nn import functional as F

_CHANNELS, _BATCH = 16, 2
_CALLS = 3  # for what the memory held may differ
_MOST_ERROR = 0.05  # of the largest gradient: rounding costs less than a tenth of it
_KERNELS = (2, 3, 5)

_Layer = tuple[tuple[int, ...], int, int]  # voxels along each axis, stride, padding


def layers(dimensions: int, kernel: int) -> Iterator[_Layer]:
    """Yields layers whose stride is at most their kernel, from one voxel along an axis to two more than the kernel."""
    for voxels in itertools.product(range(1, kernel + 3), repeat=dimensions):
        for stride, padding in itertools.product(range(1, min(kernel, 3) + 1), sorted({0, 1, kernel // 2})):
            if min(voxels) + 2 * padding >= kernel:
                yield voxels, stride, padding


def is_wrong(layer: _Layer, kernel: int) -> bool:
    """Returns whether a weight gradient differs from float32's by more than rounding."""
    voxels, stride, padding = layer
    torch.manual_seed(0)
    image = torch.rand(_BATCH, _CHANNELS, *voxels)
    weight = torch.rand(_CHANNELS, _CHANNELS, *(kernel for _ in voxels)) - 0.5
    convolve = F.conv2d if len(voxels) == 2 else F.conv3d

    def gradient(*, mixed: bool) -> torch.Tensor:
        own = weight.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            out = convolve(image, own, stride=stride, padding=padding)
        torch.manual_seed(1)
        return torch.autograd.grad((out.float() * torch.rand(out.shape)).sum(), own)[0]

    full = gradient(mixed=False)
    with filled_memory():
        low = [gradient(mixed=True) for _ in range(_CALLS)]
    # `not … <=` also counts NaN.
    return any(not (one - full).abs().max() <= _MOST_ERROR * full.abs().max() for one in low)


def count(dimensions: int, kernel: int) -> None:
    """Prints a running count: of layers with an axis shorter than the kernel and of others, the wrong ones and all."""
    counts = {True: [0, 0], False: [0, 0]}
    for layer in sorted(layers(dimensions, kernel), key=lambda layer: min(layer[0]) < kernel):
        of = counts[min(layer[0]) < kernel]
        of[1] += 1
        of[0] += is_wrong(layer, kernel)
        print(*counts[False], *counts[True], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=int, nargs=2, metavar=("DIMENSIONS", "KERNEL"), help="count in this process")
    given = parser.parse_args()
    if given.only:
        torch.set_num_threads(1)
        count(*given.only)
        return
    print("| kernel | wrong, no axis shorter | wrong, an axis shorter | process |\n| -- | -- | -- | -- |", flush=True)
    for dimensions, kernel in itertools.product((2, 3), _KERNELS):
        command = [sys.executable, __file__, "--only", str(dimensions), str(kernel)]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if run.returncode > 0:
            raise SystemExit(f"{' '.join(command)} failed with {run.returncode}")
        wrong, total, small_wrong, small = run.stdout.splitlines()[-1].split()
        ended = f"killed by signal {-run.returncode}" if run.returncode else "ended"
        name = "×".join([str(kernel)] * dimensions)
        print(f"| {name} | {wrong} of {total} | {small_wrong} of {small} | {ended} |", flush=True)


if __name__ == "__main__":
    main()
