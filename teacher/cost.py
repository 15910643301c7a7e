"""Predicts what a training step of a teacher costs: parameters, floating-point operations and peak memory."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, replace
from numbers import Integral

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from ..runtime import arguments
from ..runtime.memory.free_memory import free_memory
from .config import TeacherConfig
from .live_memory import LiveMemory
from .parameters import ParameterCounts, count_parameters

_MOST_IN_A_BATCH = 65_536  # beyond it the counts themselves overflow
_ADAM_STATES = 2  # running means of the gradient and of its square
_WORDS = {"32-true": "float32", "bf16-mixed": "bfloat16 beside float32 weights"}


@dataclass(frozen=True)
class StepMemory:
    """Bytes of one training step.

    Attributes:
        weights: parameters and constant tables.
        gradients: gradients of the trainable parameters.
        optimiser: AdamW's two states of each trainable parameter.
        kept: tensors that the forward pass keeps for the gradient, batch and logits included.
        peak: the most that is held at once, without the workspace of convolutions and the allocator's unused memory.
    """

    weights: int
    gradients: int
    optimiser: int
    kept: int
    peak: int


@dataclass(frozen=True)
class Cost:
    """What a training step of a teacher costs.

    Attributes:
        title: one-line description of teacher, patch, batch and precision.
        parameters: parameter counts by component.
        forward_flops: floating-point operations of one forward pass (a multiplication and an addition are two).
        step_flops: floating-point operations of forward and backward pass together, recomputation included.
        memory: bytes of a training step.
    """

    title: str
    parameters: ParameterCounts
    forward_flops: int
    step_flops: int
    memory: StepMemory

    def lines(self, room: Room | None = None) -> list[str]:
        """Returns the figures as lines of text, one fact each; with ``room``, the last says whether the step fits."""
        arguments.optional(arguments.instance, "room", room, Room)
        memory, counts = self.memory, self.parameters
        figures = [("parameters", f"{counts.total:,}"), ("  train", f"{counts.trainable:,}")]
        figures += [(f"    {name}", f"{count:,}") for name, count in counts.components.items()]
        figures += [
            ("forward pass", f"{self.forward_flops / 1e12:.3f} TFLOP"),
            ("training step", f"{self.step_flops / 1e12:.3f} TFLOP"),
            ("peak memory of a step", f"{memory.peak / 1e9:.2f} GB"),
            ("  weights", f"{memory.weights / 1e9:.2f} GB"),
            ("  gradients", f"{memory.gradients / 1e9:.2f} GB"),
            ("  states of AdamW", f"{memory.optimiser / 1e9:.2f} GB"),
            ("  kept for the gradient", f"{memory.kept / 1e9:.2f} GB"),
        ]
        lines = [self.title, *(f"{name:<27}{value:>14}" for name, value in figures)]
        return lines if room is None else [*lines, room.verdict(memory.peak)]

    def record(self, room: Room | None = None) -> dict[str, object]:
        """Returns the figures by name, for JSON: counts, floating-point operations and bytes."""
        memory = self.memory
        record: dict[str, object] = {
            "parameters": self.parameters.total,
            "trainable": self.parameters.trainable,
            "components": self.parameters.components,
            "forward_flops": self.forward_flops,
            "step_flops": self.step_flops,
            "memory_bytes": {
                "peak": memory.peak,
                "weights": memory.weights,
                "gradients": memory.gradients,
                "optimiser": memory.optimiser,
                "kept": memory.kept,
            },
        }
        return record if room is None else {**record, "available_bytes": room.free, "fits": memory.peak <= room.free}


@dataclass(frozen=True)
class Room:
    """Free memory of the device on which training would run.

    Attributes:
        name: name of the device.
        free: free memory in bytes.
    """

    name: str
    free: int

    @classmethod
    def at_hand(cls, device: str = "auto") -> Room:
        """Returns the free memory of the GPU if there is one and ``device`` is not "cpu", else of this machine."""
        if device != "cpu" and torch.cuda.is_available():
            free, _ = torch.cuda.mem_get_info()
            return cls(torch.cuda.get_device_name(), free)
        return cls("this machine's memory", free_memory())

    def verdict(self, needed: int) -> str:
        """Returns one line: whether ``needed`` bytes fit, and what to do if they do not."""
        figures = f"{needed / 1e9:.1f} GB of {self.free / 1e9:.1f} GB free ({self.name})"
        if needed <= self.free:
            return f"fits: {figures}"
        return f"does not fit: {figures}; use a smaller patch or batch, checkpoint activations, or a larger device"


def describe(
    config: TeacherConfig,
    *,
    num_classes: int,
    patch: int | tuple[int, int, int] = 128,
    batch: int = 1,
    precision: str = "32-true",
) -> Cost:
    """Predicts the cost of a training step. Needs neither data nor a checkpoint, and allocates no tensors.

    Builds the network on the meta device, and counts the operations and storages of one training step on fake tensors.

    Args:
        config: the teacher; its checkpoint is not read.
        num_classes: output channels, background included.
        patch: voxels, one number or (D, H, W).
        batch: patches per step.
        precision: Lightning Fabric's name, "32-true" or "bf16-mixed".

    Raises:
        UsageError: a name or option is unknown, or the patch is invalid.
    """
    config = arguments.instance("config", config, TeacherConfig)
    batch = arguments.whole_number("batch", batch, 1, _MOST_IN_A_BATCH)
    precision = arguments.one_of("precision", precision, _WORDS)
    d, h, w = sizes = arguments.triple("patch", [patch] * 3 if isinstance(patch, Integral) else patch)
    with torch.device("meta"):
        model = replace(config, checkpoint=None).build(num_classes, sizes)
    counts = count_parameters(model)
    with FakeTensorMode(allow_non_fake_inputs=True):
        step = _Step((batch, 1, d, h, w), bf16=precision == "bf16-mixed")
        memory, model = step.memory(model)
        forward, total = step.flops(model)
    title = f"{config.title}: patch {d}×{h}×{w}, batch {batch}, {_WORDS[precision]}"
    title += ", activations checkpointed" if config.checkpoint_activations else ""
    return Cost(title, counts, forward, total, memory)


@dataclass(frozen=True)
class _Step:
    """One training step on fake tensors.

    Attributes:
        shape: shape of the batch, ``[B, 1, D, H, W]``.
        bf16: whether the step runs under autocast to bfloat16.
    """

    shape: tuple[int, ...]
    bf16: bool

    def logits(self, model: nn.Module, images: Tensor) -> Tensor:
        autocast = torch.autocast("cpu", torch.bfloat16) if self.bf16 else nullcontext()
        with autocast:
            return model(images)

    def memory(self, model: nn.Module) -> tuple[StepMemory, nn.Module]:
        """Returns the bytes of one step, and the model converted to the surrounding fake mode."""
        with LiveMemory() as live:
            model = model.to_empty(device="cpu")
            weights = live.held
            gradients = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
            optimiser = _ADAM_STATES * gradients
            images, labels = torch.empty(self.shape), torch.empty(self.shape)
            logits = self.logits(model, images)
            kept = live.held - weights
            training_loss(logits.float(), labels).backward()
        # The optimiser's step holds one more copy of the trainable parameters, after activations are freed.
        at_the_update = weights + 2 * gradients + optimiser
        peak = max(live.peak + optimiser, at_the_update)
        return StepMemory(weights, gradients, optimiser, kept, peak), model

    def flops(self, model: nn.Module) -> tuple[int, int]:
        """Returns the floating-point operations of the forward pass, and of forward and backward pass together."""
        with FlopCounterMode(display=False) as counter:
            logits = self.logits(model, torch.empty(self.shape))
            forward = counter.get_total_flops()
            logits.float().sum().backward()
        return forward, counter.get_total_flops()


def training_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns Dice + cross-entropy as in `bedside.training.loop.losses`, by operations that run on fake tensors."""
    chances = logits.softmax(dim=1)
    truth = torch.zeros_like(chances).scatter_(1, labels.long(), 1.0)
    everywhere = [0, *range(2, logits.ndim)]
    overlap = (chances * truth).sum(everywhere)
    total = chances.sum(everywhere) + truth.sum(everywhere)
    dice = 1 - (2 * overlap + 1e-5) / (total + 1e-5)
    return dice.mean() + F.cross_entropy(logits, labels[:, 0].long())
