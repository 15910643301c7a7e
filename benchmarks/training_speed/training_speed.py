"""How many distillation steps per second students train on a CPU, with contiguous weights and as bedside trains them.

    python benchmarks/training_speed/training_speed.py [--students unet-nano] [--patch 64] [-o table.md]
    python benchmarks/training_speed/training_speed.py --precision bf16-mixed [--students unet-nano]

Both have the same weights and batch and run in turn, in float32; with ``--precision bf16-mixed``, float32 and bfloat16
as bedside trains in them. README.md beside this file says what is measured how.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from bedside.devices import detect
from bedside.distill import DistillationLoss, build_student
from bedside.training.loop.cpu_network import adapt_to_cpu
from bedside.training.loop.memory_layout import use_channels_last
from bedside.training.loop.precision_check import PrecisionComparison, compare_precisions
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
        mixed: whether forward pass and loss run under autocast to bfloat16, as in a training in bf16-mixed.
    """

    model: nn.Module
    loss: Loss
    network_seconds: float = float("inf")
    loss_seconds: float = float("inf")
    value: float = 0.0
    mixed: bool = False

    def step(self, image: Tensor, teacher: Tensor, labels: Tensor, *, timed: bool) -> None:
        """Runs forward and backward pass once."""
        self.model.zero_grad(set_to_none=True)
        autocast = partial(torch.autocast, "cpu", torch.bfloat16, enabled=self.mixed)
        begun = time.process_time()
        with autocast():
            logits = self.model(image).float()
        forward = time.process_time()
        leaf = logits.detach().requires_grad_()
        with autocast():
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
    _in_turn((before, after), example(classes, patch, batch), rounds)
    if abs(after.value - before.value) > TOLERANCE * before.value:
        raise SystemExit(f"{student}: losses differ, {before.value:.8g} and {after.value:.8g}")
    return before, after


def compare_with_bfloat16(
    student: str, classes: int, patch: int, batch: int, rounds: int
) -> tuple[Setting, Setting, PrecisionComparison]:
    """Runs steps in float32 and in bfloat16 in turn; returns both, and the comparison of their gradients."""
    torch.manual_seed(0)
    model = build_student(student, num_classes=classes)
    adapt_to_cpu(model)
    full, mixed = Setting(model, _bedside), Setting(model, _bedside, mixed=True)
    image, teacher, labels = crops = example(classes, patch, batch)
    gradients = compare_precisions(
        model,
        lambda: _bedside(model(image).float(), teacher, labels),
        partial(torch.autocast, "cpu", torch.bfloat16),
        rounds=1,
    )
    _in_turn((full, mixed), crops, rounds)
    return full, mixed, gradients


def example(classes: int, patch: int, batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns random images, probabilities of a teacher, and labels."""
    image = torch.rand(batch, 1, patch, patch, patch)
    labels = torch.randint(classes, image.shape)
    return image, torch.randn(batch, classes, patch, patch, patch).softmax(1), labels


def _in_turn(settings: tuple[Setting, Setting], crops: tuple[Tensor, Tensor, Tensor], rounds: int) -> None:
    for turn in range(rounds + 1):
        for setting in settings:
            setting.step(*crops, timed=turn > 0)  # the first includes one-time work


def bfloat16_row(student: str, classes: int, full: Setting, mixed: Setting, gradients: PrecisionComparison) -> str:
    """Returns a line of the table of bfloat16."""
    verdict = "sound" if gradients.sound else "wrong"
    return (
        f"| {student} | {classes} | {1 / full.seconds:.3f} | {1 / mixed.seconds:.3f} "
        f"| {full.seconds / mixed.seconds:.2f} | {full.network_seconds / mixed.network_seconds:.2f} | {verdict} |"
    )


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
    parser.add_argument("--precision", choices=["32-true", "bf16-mixed"], default="32-true")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file for the table")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    with_bfloat16 = given.precision == "bf16-mixed"
    columns = "32-true | steps/s bf16-mixed | times faster | network | gradients"
    if not with_bfloat16:
        columns = "before | steps/s now | times faster | network | loss | share of the loss"
    lines = [
        f"{detect().cpu.model}, {given.threads} threads, torch {torch.__version__}; patch {given.patch}³, batch "
        f"{given.batch}, {'' if with_bfloat16 else 'float32, '}fastest of {given.rounds} rounds.",
        "",
        f"| student | classes | steps/s {columns} |",
        "| -- " * (3 + columns.count("|")) + "|",
    ]
    for student in given.students:
        for classes in given.classes:
            sizes = student, classes, given.patch, given.batch, given.rounds
            if with_bfloat16:
                lines.append(bfloat16_row(student, classes, *compare_with_bfloat16(*sizes)))
            else:
                lines.append(row(student, classes, *compare(*sizes)))
    text = "\n".join(lines) + "\n"
    print(text)
    if given.output:
        given.output.write_text(text)


if __name__ == "__main__":
    main()
