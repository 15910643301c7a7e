"""Predicts what a training step of a teacher costs: parameters, floating-point operations and peak memory."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ..runtime import arguments
from ..runtime.axes import DHW
from ..runtime.memory.free_memory import free_memory
from ..training.recipe import OptimizerName
from .config import TeacherConfig
from .families import TEACHERS
from .parameters import ParameterCounts, count_parameters
from .simulated_step import OPTIMIZER_STATES, SimulatedStep, StepMemory, parameters_on_meta

_MOST_IN_A_BATCH = 65_536  # beyond it the counts themselves overflow
_PRECISIONS = {
    "32-true": "float32",
    "bf16-mixed": "bfloat16 beside float32 weights",
    "auto": "float32, unless the training finds that bfloat16 is sound and faster",
}


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

    def lines(self, device: DeviceMemory | None = None) -> list[str]:
        """Returns the figures as lines of text, one fact each; with ``device``, the last says whether the step fits."""
        arguments.optional(arguments.instance, "device", device, DeviceMemory)
        memory, counts = self.memory, self.parameters
        figures = [("parameters", f"{counts.total:,}"), ("  train", f"{counts.trainable:,}")]
        figures += [(f"    {name}", f"{count:,}") for name, count in counts.components.items()]
        figures += [
            ("forward pass", f"{self.forward_flops / 1e12:.3f} TFLOP"),
            ("training step", f"{self.step_flops / 1e12:.3f} TFLOP"),
            ("peak memory of a step", f"{memory.peak / 1e9:.2f} GB"),
            ("  weights", f"{memory.weights / 1e9:.2f} GB"),
            ("  gradients", f"{memory.gradients / 1e9:.2f} GB"),
            ("  states of the optimiser", f"{memory.optimiser / 1e9:.2f} GB"),
            ("  kept for the gradient", f"{memory.activations / 1e9:.2f} GB"),
        ]
        lines = [self.title, *(f"{name:<27}{value:>14}" for name, value in figures)]
        return lines if device is None else [*lines, device.verdict(memory.peak)]

    def record(self, device: DeviceMemory | None = None) -> dict[str, object]:
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
                "kept": memory.activations,
            },
        }
        if device is None:
            return record
        return {**record, "available_bytes": device.free, "fits": memory.peak <= device.free}


@dataclass(frozen=True)
class DeviceMemory:
    """Free memory of the device on which training would run.

    Attributes:
        name: name of the device.
        free: free memory in bytes.
    """

    name: str
    free: int

    @classmethod
    def available(cls, device: str = "auto") -> DeviceMemory:
        """Returns the free memory of the GPU if there is one and ``device`` is not "cpu", else of this machine.

        Args:
            device: as for `Hardware`, in upper or lower case.
        """
        if device.casefold() != "cpu" and torch.cuda.is_available():
            free, _ = torch.cuda.mem_get_info()
            return cls(torch.cuda.get_device_name(), free)
        return cls("this machine's memory", free_memory())

    def verdict(self, needed: int) -> str:
        """Returns one line: whether ``needed`` bytes fit, and what to do if they do not."""
        figures = f"{needed / 1e9:.1f} GB of {self.free / 1e9:.1f} GB free ({self.name})"
        if needed <= self.free:
            return f"fits: {figures}"
        return f"does not fit: {figures}; use a smaller patch or batch, checkpoint activations, or a larger device"


def predict_cost(
    config: TeacherConfig,
    *,
    num_classes: int,
    patch: int | DHW = 128,
    batch: int = 1,
    precision: str = "32-true",
    optimizer: OptimizerName | None = None,
    averages: bool = False,
) -> Cost:
    """Predicts the cost of a training step. Needs no data or weights, and allocates no tensors.

    Builds the network without memory for its parameters, and counts the operations and storages of one training step
    on fake tensors.

    Args:
        config: the teacher, of any family; its checkpoint is not read.
        num_classes: output channels, background included.
        patch: voxels, or one number for a cube.
        batch: patches per step.
        precision: Lightning Fabric's name, "32-true" or "bf16-mixed"; "auto" counts as float32, which needs more.
        optimizer: the optimiser, as a recipe names it; None for that of the family's recipe.
        averages: whether the training keeps a moving average of the weights.

    Raises:
        UsageError: a name or option is unknown, or the patch is invalid.
    """
    config = arguments.instance("config", config, TeacherConfig)
    batch = arguments.whole_number("batch", batch, 1, _MOST_IN_A_BATCH)
    precision = arguments.one_of("precision", precision, _PRECISIONS)
    arguments.optional(arguments.one_of, "optimizer", optimizer, OPTIMIZER_STATES)
    averages = arguments.flag("averages", averages)
    d, h, w = sizes = arguments.dhw("patch", [patch] * 3 if isinstance(patch, Integral) else patch)
    with parameters_on_meta():
        model = config.without_files().build(num_classes, sizes)
    counts = count_parameters(model, config.component)
    with FakeTensorMode(allow_non_fake_inputs=True):
        chosen = optimizer or TEACHERS.find(config.name).recipe.optimizer
        step = SimulatedStep((batch, 1, d, h, w), precision == "bf16-mixed", chosen, averages)
        memory, model = step.memory(model)
        forward, total = step.flops(model)
    title = f"{config.title}: patch {d}×{h}×{w}, batch {batch}, {_PRECISIONS[precision]}"
    return Cost(title, counts, forward, total, memory)
