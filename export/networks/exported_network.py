"""Makes a network of others a thing to export: checked on one patch before the export begins, with its facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from ...runtime.errors import UsageError, first_line, printable
from ...runtime.labels.postprocess import Postprocessing
from ...runtime.task import Task
from ...training.trained_student import TrainedStudent

_LICENCE = "not stated; ask who trained the network"


def exported_network(
    network: torch.nn.Module,
    task: Task,
    name: str,
    facts: Mapping[str, str],
    postprocessing: Postprocessing | None = None,
) -> TrainedStudent:
    """Returns a network with its task and its facts, for `export_bundle`.

    Args:
        network: maps [B, 1, D, H, W] to logits [B, C, D, H, W], or to several outputs (see `with_one_output`).
        task: its task; the patch becomes the fixed window.
        name: name of the architecture.
        facts: fact → value, what the bundle says about the origin; empty values are left out.
        postprocessing: what its origin removes from label maps; None for nothing.

    Raises:
        UsageError: the network does not suit the task.
    """
    return TrainedStudent(
        model=with_one_output(network, task),
        task=task,
        student=printable(name),
        metrics={fact: printable(value) for fact, value in facts.items()},
        postprocessing=postprocessing,
        licence=_LICENCE,
    )


class FirstOutput(torch.nn.Module):
    """A network that returns several outputs, as for deep supervision, reduced to the first of them."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Returns the first output of the network."""
        return self.network(x)[0]


def with_one_output(network: torch.nn.Module, task: Task) -> torch.nn.Module:
    """Runs a network on a patch of zeros and returns it in evaluation mode, reduced to its first output if needed.

    Where a network returns a list or a tuple, such as the outputs of deep supervision, the first one counts: nnU-Net
    and MONAI put the output of full resolution there. It must have the task's shape like any other.

    Args:
        network: expected to map [1, 1, D, H, W] to [1, C, D, H, W], on the CPU.
        task: gives the patch, and the number of classes C.

    Raises:
        UsageError: the network does not accept the patch, or returns no tensor, another number of classes, or another
            shape.
    """
    network = network.to(torch.device("cpu"), torch.float32).eval()
    patch = "×".join(str(size) for size in task.patch.dhw)
    try:
        with torch.inference_mode():
            output = network(torch.zeros(1, 1, *task.patch.dhw))
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError) as error:
        raise UsageError(f"the network refuses a patch [1, 1, D, H, W] of {patch}: {first_line(error)}") from None
    if isinstance(output, Sequence) and len(output):
        network, output = FirstOutput(network), output[0]
    if not isinstance(output, torch.Tensor):
        raise UsageError(f"the network returns {_described(output)}; expected logits [B, C, D, H, W] of {patch} voxels")
    _check_shape(tuple(output.shape), task)
    return network


def _described(output: Any) -> str:
    keys = f" with {', '.join(str(key) for key in output)}" if isinstance(output, Mapping) else ""
    return f"a {type(output).__name__}{keys}"


def _check_shape(shape: tuple[int, ...], task: Task) -> None:
    expected = (1, task.num_classes, *task.patch.dhw)
    if shape[:1] + shape[2:] == expected[:1] + expected[2:]:
        if shape[1] != expected[1]:
            labels = f"{expected[1]} labels, background included"
            raise UsageError(f'the network has {shape[1]} classes, the task "{task.name}" {labels}; they must agree')
        return
    raise UsageError(f"the network returns {list(shape)} for a patch; expected {list(expected)} [B, C, D, H, W]")
