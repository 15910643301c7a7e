"""One optimiser step: forward and backward passes over its batches, reduction over the processes, and the update."""

from __future__ import annotations

import math

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies import ModelParallelStrategy
from torch.distributed.tensor import DTensor

from ...runtime.errors import ExitCode
from ..data.crops import Batch
from ..recipe import Recipe
from .cpu_network import adapt_to_cpu
from .interrupt import StopRequest
from .loader import CropLoader
from .objective import DeepLogits, Objective, WeighsTerms, supervised_terms, total
from .precision_check import check_precision
from .process_group import AgreedOutcome, ProcessGroup


class DivergedError(AgreedOutcome):
    """The loss or its gradient became NaN or infinite: the options do not suit the data."""

    exit_code = ExitCode.USAGE


class Stepper:
    """A network with its optimiser, set up on the device.

    The optimiser updates only parameters with ``requires_grad``.

    Attributes:
        model: the network; sharded in place if the strategy is "fsdp".
        wrapped: the network wrapped by Fabric, for forward passes that all processes run together.
        optimizer: the recipe's optimiser.
        stop: number of the signal that any process had received by the last step; None without one.
        gradient_norms: norm of each term's gradient at the logits, of the first batch of the last epoch, at the term's
            mean weight; empty if the loss has one term or the network several outputs.
    """

    def __init__(
        self, model: torch.nn.Module, objective: Objective, recipe: Recipe, fabric: Fabric, group: ProcessGroup
    ) -> None:
        self._objective = objective
        self._recipe = recipe
        self._fabric = fabric
        self._autocast = fabric.strategy.precision.forward_context  # `Fabric.autocast` does not know `use_precision`
        self._group = group
        self.model = model
        # `fully_shard` accepts only contiguous weights.
        if fabric.device.type == "cpu" and not isinstance(fabric.strategy, ModelParallelStrategy):
            adapt_to_cpu(model)
        self.wrapped = fabric.setup_module(model)
        prepared = fabric.setup_optimizers(_optimizer(model, recipe))
        if isinstance(prepared, tuple):
            raise TypeError("expected one optimiser from Fabric, got several")
        self._optimizer = prepared
        self.optimizer: torch.optim.Optimizer = prepared.optimizer
        self.stop: int | None = None
        self.gradient_norms: dict[str, float] = {}
        self._measures_gradients = True
        self._checks_precision = fabric.device.type == "cpu" and recipe.precision != "32-true"

    def start_epoch(self, rate: float, gradient_norms: dict[str, float] | None = None) -> None:
        """Sets the learning rate; the next batch measures the gradients of the loss's terms.

        Args:
            rate: the learning rate.
            gradient_norms: for an epoch that a resumed run goes on with, the norms that its first batch had.
        """
        self._measures_gradients = gradient_norms is None
        self.gradient_norms = gradient_norms or {}
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def step(self, loader: CropLoader, request: StopRequest, epoch: int) -> float:
        """Runs one optimiser step and returns its loss, the mean over all its batches on all processes.

        Raises:
            DivergedError: loss or gradient is NaN or infinite; the weights are unchanged.
            UnsoundPrecisionError: at the first step, a processor computes wrong gradients in bfloat16.
        """
        count, loss = self._recipe.accumulate, 0.0
        for number in range(count):
            loss += self._add_gradient(loader.next_batch(), last=number + 1 == count) / count
        # One reduction per step carries both the loss and the stop requests.
        agreed = self._group.total(np.array([loss / self._group.size, *request.flags()]))
        loss, self.stop = float(agreed[0]), request.agreed(agreed[1:])
        self._check_finite("the loss", loss, epoch)
        norm = self._fabric.clip_gradients(
            self.wrapped, self._optimizer, max_norm=self._recipe.clip, error_if_nonfinite=False
        )
        self._check_finite("the gradient", _number(norm), epoch)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return loss

    def _check_finite(self, what: str, value: float, epoch: int) -> None:
        if not math.isfinite(value):
            precision = "" if self._recipe.precision == "32-true" else " or --precision 32-true"
            raise DivergedError(
                f"{what} became {value} in epoch {epoch}; start again with a lower --lr{precision}, and another -o"
            )

    def _add_gradient(self, batch: Batch, *, last: bool) -> float:
        """Accumulates a batch's gradients and returns its loss; the last batch averages them over the processes."""
        if self._checks_precision:
            self._checks_precision = False
            self._check_precision(batch)
        with self._fabric.no_backward_sync(self.wrapped, enabled=not last):
            with self._autocast():
                output = self.wrapped(batch["image"]).float()
                if self._measures_gradients and not isinstance(output, DeepLogits):
                    output = output.view_as(output)  # Fabric refuses a gradient at its own output in mixed precision
                terms = supervised_terms(self._objective, output, batch)
            if self._measures_gradients:
                self._measures_gradients = False
                norms = _gradient_norms(terms, output)
                self.gradient_norms = {term: norm / self._weight(term, batch) for term, norm in norms.items()}
            loss = total(terms)
            del output  # the gradient does not need the logits themselves: the loss keeps their softmax
            self._fabric.backward(loss / self._recipe.accumulate)
        return float(loss.detach())

    def _weight(self, term: str, batch: Batch) -> float:
        """Returns a term's weight in a batch over its mean weight; 1 where it has none, and so no gradient."""
        return (self._objective.weight(term, batch) if isinstance(self._objective, WeighsTerms) else 1.0) or 1.0

    def _check_precision(self, batch: Batch) -> None:
        def loss() -> torch.Tensor:
            return total(supervised_terms(self._objective, self.model(batch["image"]).float(), batch))

        check_precision(self.model, loss, self._autocast, self._group)

    def start_validation(self) -> None:
        """Sets evaluation mode, with the running statistics of batch normalisation that are kept, the first process's.

        Each process has its own: DDP copies them before a forward pass, not after, and FSDP never does.
        """
        self.wrapped.eval()
        self._group.copy_from_first(self.model.buffers())

    def predict(self, patches: torch.Tensor) -> torch.Tensor:
        """Returns float32 logits ``[B, C, D, H, W]``; if the network is sharded, all processes must call together."""
        if self._group.sharded:
            return self.wrapped(patches).float()
        with self._autocast():
            return self.model(patches).float()


def _optimizer(model: torch.nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(trained, lr=recipe.lr, betas=recipe.betas, weight_decay=recipe.weight_decay)
    return torch.optim.SGD(
        trained, lr=recipe.lr, momentum=recipe.momentum, nesterov=True, weight_decay=recipe.weight_decay
    )


def _number(norm: torch.Tensor | None) -> float:
    if norm is None:
        return 0.0
    return float(norm.full_tensor() if isinstance(norm, DTensor) else norm)


def _gradient_norms(terms: dict[str, torch.Tensor], output: torch.Tensor | DeepLogits) -> dict[str, float]:
    """Returns the norm of each term's gradient at the logits, where the terms meet; empty where they do not."""
    if len(terms) < 2 or isinstance(output, DeepLogits) or not output.requires_grad:
        return {}
    norms: dict[str, float] = {}
    for name, term in terms.items():
        (gradient,) = torch.autograd.grad(term, output, retain_graph=True)
        norms[name] = float(gradient.norm())
    return norms
