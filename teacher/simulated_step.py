"""A training step on fake tensors: counts bytes and floating-point operations without computing anything."""

from __future__ import annotations

import weakref
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count

from ..training.data.crops import Batch
from ..training.loop.losses import segmentation_loss
from ..training.loop.objective import DeepLogits, all_logits, supervised_terms, total
from ..training.recipe import OptimizerName
from .convolution_workspace import CONVOLUTIONS, convolution_workspace

OPTIMIZER_STATES: dict[OptimizerName, int] = {"adamw": 2, "sgd": 1}
"""States of each trained parameter: running means of the gradient and of its square, or the momentum."""


def _attention_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward_flops(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)


# torch 2.14 does not count the fused attention of a CPU, on which the simulated step runs.
_NOT_COUNTED_BY_TORCH = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flops,
}


def flop_counter() -> FlopCounterMode:
    """Returns a context manager that counts the floating-point operations of convolutions and matrix products."""
    return FlopCounterMode(display=False, custom_mapping=_NOT_COUNTED_BY_TORCH)


def _labels_alone(logits: Tensor, batch: Batch) -> dict[str, Tensor]:
    return {"labels": segmentation_loss()(logits, batch["label"])}


@contextmanager
def parameters_on_meta() -> Generator[None]:
    """Moves each parameter of a network that this thread builds inside the ``with`` block to the meta device.

    Parameters thus need no memory, while all other tensors are real, so that a builder may read their values, as that
    of SwinUNETR does; under ``torch.device("meta")`` it fails.
    """
    builder = get_ident()

    def on_meta(_module: nn.Module, _name: str, parameter: nn.Parameter) -> nn.Parameter | None:
        if parameter.is_meta or get_ident() != builder:  # a parameter of two modules stays one
            return None
        return nn.Parameter(parameter.detach().to("meta"), requires_grad=parameter.requires_grad)

    handle = register_module_parameter_registration_hook(on_meta)  # pyright: ignore[reportArgumentType] - may return one
    try:
        yield
    finally:
        handle.remove()


class LiveMemory(TorchDispatchMode):
    """Tracks every storage from the operation that creates it to its release, in forward, backward and optimiser.

    Under ``FakeTensorMode`` nothing is allocated or computed, so that a network of any size is tracked in seconds.
    Memory that an allocator leaves unused between its blocks does not count.

    Args:
        workspace: whether the peak holds what a convolution on a CPU needs while it computes: `convolution_workspace`.

    Attributes:
        held: bytes alive now, of storages created inside the ``with`` block.
        peak: the most bytes alive at once.
    """

    def __init__(self, *, workspace: bool = False) -> None:
        super().__init__()
        self._workspace = workspace
        self.held = 0
        self.peak = 0
        self._storages: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs one operation and counts the storages it creates."""
        in_place = _is_in_place_with_real_tensors(func, args)
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._count(leaf.untyped_storage())
        if not in_place:  # else an operand is released at once
            self.peak = max(self.peak, self.held)
        if self._workspace and func in CONVOLUTIONS:
            self.peak = max(self.peak, self.held + convolution_workspace(func, args, result))
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata  # pyright: ignore[reportPrivateUsage] - its only identity without memory
        if key in self._storages:
            return
        size = storage.nbytes()
        self._storages[key] = size
        self.held += size
        # A storage's Python object lives as long as the storage itself, autograd's hold on it included.
        weakref.finalize(storage, self._release, key).atexit = False

    def _release(self, key: int) -> None:
        self.held -= self._storages.pop(key)


def _is_in_place_with_real_tensors(func: Any, args: tuple[Any, ...]) -> bool:
    """Returns whether an operation of the backward pass that makes a new fake tensor would change a real one in place.

    Autograd adds the gradients of one tensor from two operations in place of one of them, if nothing else holds it, and
    scatters a gathered gradient into the zeros that it has just made. It spares fake tensors both.
    """
    if torch._C._current_graph_task_id() == -1:  # pyright: ignore - no backward pass
        return False
    node = torch._C._current_autograd_node()  # pyright: ignore
    if isinstance(node, torch.autograd.function.BackwardCFunction):  # code in Python, which may add by itself
        return False
    if func is torch.ops.aten.add.Tensor:
        return any(_is_held_once(gradient) for gradient in args if isinstance(gradient, Tensor))
    return func is torch.ops.aten.scatter_add.default and node.name() == "GatherBackward0"


def _is_held_once(gradient: Tensor) -> bool:
    storage = gradient.untyped_storage()
    expanded = storage.nbytes() < gradient.numel() * gradient.element_size()
    holders = torch._C._storage_Use_Count(storage._cdata)  # pyright: ignore
    return not expanded and holders == 2  # the tensor, and the Python object that was made for this question


@dataclass(frozen=True)
class StepMemory:
    """Bytes of one training step.

    Attributes:
        weights: parameters and constant tables.
        gradients: gradients of the trainable parameters.
        optimiser: the optimiser's states of each trainable parameter.
        activations: tensors that the forward pass keeps for the gradient, batch and logits included.
        peak: the most that is held at once, the workspace of convolutions on a CPU included, the allocator's
            unused memory not.
    """

    weights: int
    gradients: int
    optimiser: int
    activations: int
    peak: int


@dataclass(frozen=True)
class SimulatedStep:
    """One training step on fake tensors.

    Attributes:
        shape: shape of the batch, ``[B, 1, D, H, W]``.
        bf16: whether the step runs under autocast to bfloat16.
        optimizer: the optimiser, as a recipe names it.
        averages: whether the optimiser keeps a moving average of the weights too.
    """

    shape: tuple[int, ...]
    bf16: bool
    optimizer: OptimizerName = "adamw"
    averages: bool = False

    def output(self, model: nn.Module, images: Tensor) -> Tensor | DeepLogits:
        """Returns the output in training for images ``[B, 1, D, H, W]``."""
        autocast = torch.autocast("cpu", torch.bfloat16) if self.bf16 else nullcontext()
        with autocast:
            return model(images)

    def memory(self, model: nn.Module) -> tuple[StepMemory, nn.Module]:
        """Returns the bytes of one step, and the model converted to the surrounding fake mode."""
        with LiveMemory(workspace=True) as live:
            model = model.to_empty(device="cpu")
            weights = live.held
            gradients = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad)
            optimiser = (OPTIMIZER_STATES[self.optimizer] + self.averages) * gradients
            images, labels = torch.empty(self.shape), torch.empty(self.shape)
            output = self.output(model, images).float()
            activations = live.held - weights
            terms = supervised_terms(_labels_alone, output, {"label": labels})
            del output
            total(terms).backward()
        # The optimiser's step holds one more copy of the trainable parameters, after activations are freed.
        at_the_update = weights + 2 * gradients + optimiser
        peak = max(live.peak + optimiser, at_the_update)
        return StepMemory(weights, gradients, optimiser, activations, peak), model

    def flops(self, model: nn.Module) -> tuple[int, int]:
        """Returns the floating-point operations of the forward pass, and of forward and backward pass together."""
        with flop_counter() as counter:
            output = self.output(model, torch.empty(self.shape))
            forward = counter.get_total_flops()
            torch.stack([logits.sum() for logits in all_logits(output.float())]).sum().backward()
        return forward, counter.get_total_flops()
