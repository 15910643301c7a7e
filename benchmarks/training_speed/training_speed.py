"""How many distillation steps per second students train on a CPU, with contiguous weights and as bedside trains them.

    python benchmarks/training_speed/training_speed.py [--students unet-nano] [--patch 64] [-o table.md]

Both have the same weights and batch and run in turn, in float32; README.md beside this file says what is measured how.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from bedside.devices import detect
from bedside.distill import DistillationLoss, build_student
from bedside.training.loop.memory_layout import use_channels_last
from monai.losses.dice import DiceCELoss
from torch import Tensor, nn
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
TOLERANCE = 1e-5  # relative, of the losses

_monai = DiceCELoss(to_onehot_y=True, softmax=True, include_background=True, batch=True)
_bedside = DistillationLoss(0.5)


def separate_terms(logits: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    """Returns the same loss as `DistillationLoss`, each term with a softmax of its own."""
    return 0.5 * _monai(logits, labels) + 0.5 * F.mse_loss(logits.softmax(1), teacher)


@dataclass
class Setting:
    """One way to train a student, with its fastest step so far.

    Attributes:
        model: the student.
        loss: loss of logits, the teacher's probabilities and labels.
        network_seconds: processor seconds of the network's forward and backward pass.
        loss_seconds: processor seconds of the loss and of its gradient at the logits.
        value: loss of the last step.
    """

    model: nn.Module
    loss: Loss
    network_seconds: float = float("inf")
    loss_seconds: float = float("inf")
    value: float = 0.0

    def step(self, image: Tensor, teacher: Tensor, labels: Tensor, *, timed: bool) -> None:
        """Runs forward and backward pass once."""
        self.model.zero_grad(set_to_none=True)
        begun = time.process_time()
        logits = self.model(image)
        forward = time.process_time()
        leaf = logits.detach().requires_grad_()
        value = self.loss(leaf, teacher, labels)
        value.backward()
        backward = time.process_time()
        logits.backward(leaf.grad)
        done = time.process_time()
        self.value = float(value.detach())
        if timed:
            self.network_seconds = min(self.network_seconds, forward - begun + done - backward)
            self.loss_seconds = min(self.loss_seconds, backward - forward)

    @property
    def seconds(self) -> float:
        """Processor seconds of the fastest step."""
        return self.network_seconds + self.loss_seconds


def compare(student: str, classes: int, patch: int, batch: int, rounds: int) -> tuple[Setting, Setting]:
    """Runs both settings in turn; returns that with contiguous weights and separate terms, then bedside's.

    Raises:
        SystemExit: the two do not compute the same loss.
    """
    torch.manual_seed(0)
    model = build_student(student, num_classes=classes)
    channels_last = copy.deepcopy(model)
    use_channels_last(channels_last)
    before, after = Setting(model, separate_terms), Setting(channels_last, _bedside)
    image = torch.rand(batch, 1, patch, patch, patch)
    labels = torch.randint(classes, image.shape)
    teacher = torch.randn(batch, classes, patch, patch, patch).softmax(1)
    for turn in range(rounds + 1):
        for setting in (before, after):
            setting.step(image, teacher, labels, timed=turn > 0)  # the first includes one-time work
    if abs(after.value - before.value) > TOLERANCE * before.value:
        raise SystemExit(f"{student}: losses differ, {before.value:.8g} and {after.value:.8g}")
    return before, after


def row(student: str, classes: int, before: Setting, after: Setting) -> str:
    """Returns a line of the table."""
    shares = [f"{setting.loss_seconds / setting.seconds:.1%}" for setting in (before, after)]
    return (
        f"| {student} | {classes} | {1 / before.seconds:.3f} | {1 / after.seconds:.3f} "
        f"| {before.seconds / after.seconds:.2f} | {before.network_seconds / after.network_seconds:.2f} "
        f"| {before.loss_seconds / after.loss_seconds:.2f} | {shares[0]} → {shares[1]} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", nargs="+", default=["unet-nano", "swinunetr-tiny"])
    parser.add_argument("--classes", type=int, nargs="+", default=[6, 14])
    parser.add_argument("--patch", type=int, default=64, help="voxels along each side")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="of both settings in turn, after one that is not timed")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file for the table")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    lines = [
        f"{detect().cpu.model}, {given.threads} threads, torch {torch.__version__}; patch {given.patch}³, batch "
        f"{given.batch}, float32, fastest of {given.rounds} rounds.",
        "",
        "| student | classes | steps/s before | steps/s now | times faster | network | loss | share of the loss |",
        "| -- | -- | -- | -- | -- | -- | -- | -- |",
    ]
    for student in given.students:
        for classes in given.classes:
            lines.append(row(student, classes, *compare(student, classes, given.patch, given.batch, given.rounds)))
    text = "\n".join(lines) + "\n"
    print(text)
    if given.output:
        given.output.write_text(text)


if __name__ == "__main__":
    main()
