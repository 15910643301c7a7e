"""Checkpoints as safetensors: model, optimiser, random state and position, written atomically, no pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import msgspec
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.tensor import DTensor, distribute_tensor

from ...runtime.errors import InputError, ResourceError
from ...runtime.files.atomic import atomic_write
from ...runtime.shortage import raise_shortage
from ..runs.best_weights import METADATA_KEY, BestWeights
from .loss_watch import LossTrend

_META = "bedside"
_DIGEST = "sha256"
# Gathers the whole tensors of a sharded network on the first process.
_WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)
_FROM_WHOLE = StateDictOptions(full_state_dict=True)  # every process gets whole tensors and loads its own shard
# An optimiser has no state of parameters that no step has updated yet, as in the first epochs of deep supervision.
_OF_OPTIMIZER = StateDictOptions(full_state_dict=True, strict=False)

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Position:
    """The point of a training run at which a checkpoint was saved.

    Attributes:
        epoch: epoch to continue with, counted from 0.
        step: next step inside that epoch, counted from 0.
        loss_sum: sum of the losses of that epoch's finished steps.
        best: best validation score so far; None without a score.
        trend: course of the loss so far.
        gradients: norms of the gradients of the loss's terms in that epoch; see `Stepper.gradient_norms`.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best: float | None = None
    trend: LossTrend = field(default_factory=LossTrend)
    gradients: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True)
class Checkpoint:
    """The verified content of a checkpoint file.

    Attributes:
        path: the file.
        tensors: name → tensor: ``model.…``, ``optimizer.<parameter>.<state>``, ``random.cpu``, ``random.cuda``.
        position: epoch and step to continue with.
    """

    path: Path
    tensors: Tensors
    position: Position

    @classmethod
    def read(cls, path: Path) -> Checkpoint:
        """Reads a file written by `save_weights` or `save_checkpoint`.

        Raises:
            InputError: the file is missing, truncated or altered.
            ResourceError: file descriptors ran out, or the disk failed.
        """
        try:
            path.open("rb").close()  # safetensors says of each file that cannot be opened that there is none
            with safe_open(path, framework="pt") as file:  # pyright: ignore[reportArgumentType]
                meta = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            position = msgspec.json.decode(meta.get(_META, "{}"), type=Position)
        except FileNotFoundError:
            raise InputError(
                f'no checkpoint "{path.name}" in {path.parent.name}; train it to the end first, with --resume'
            ) from None
        except (SafetensorError, OSError, msgspec.DecodeError) as error:
            raise_shortage(error, f'checkpoint "{path.name}"')
            raise InputError(f'checkpoint "{path.name}" cannot be read: {error}') from None
        if _DIGEST in meta and meta[_DIGEST] != _digest(tensors, meta):
            raise InputError(f'checkpoint "{path.name}" cannot be read: its content is not what was written')
        return cls(path, tensors, position)

    def part(self, name: str) -> Tensors:
        """Returns the tensors whose names start with ``name`` and a dot, without this prefix.

        Args:
            name: ``"model"`` or ``"optimizer"``.
        """
        prefix = f"{name}."
        return {key.removeprefix(prefix): value for key, value in self.tensors.items() if key.startswith(prefix)}

    def load_into(self, model: torch.nn.Module) -> None:
        """Loads the network's weights.

        Raises:
            InputError: the tensors do not fit this model; the message names the first misfit.
        """
        _check_model(self, model)
        set_model_state_dict(model, cast("dict[str, Any]", self.part("model")), options=_FROM_WHOLE)


def save_weights(path: Path, model: torch.nn.Module, *, about: BestWeights | None = None, write: bool = True) -> None:
    """Writes a model's weights (parameters and persistent buffers) atomically.

    Args:
        path: file to write.
        model: the network; if it is sharded, all processes must call this function together.
        about: which weights of a run these are; None: of no run.
        write: whether this process writes the file.
    """
    tensors = _prefixed("model", _model_state(model))
    if write:
        _write(path, tensors, {} if about is None else _facts(about))


def copy_weights(source: Path, target: Path, about: BestWeights) -> None:
    """Copies weights written by `save_weights`, atomically.

    Args:
        source: file to copy.
        target: file to write.
        about: which weights of a run these are; a file of an earlier version does not say so itself.

    Raises:
        InputError: the file cannot be read.
    """
    _write(target, Checkpoint.read(source).tensors, _facts(about))


def _facts(about: BestWeights) -> dict[str, str]:
    return {METADATA_KEY: msgspec.json.encode(about).decode()}


def save_checkpoint(
    path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, position: Position, *, write: bool = True
) -> None:
    """Writes weights, optimiser state, random state and position atomically: everything a resumed run needs.

    Args:
        path: file to write.
        model: the network; if it is sharded, all processes must call this function together.
        optimizer: the network's optimiser.
        position: epoch and step to continue with.
        write: whether this process writes the file.
    """
    tensors = _prefixed("model", _model_state(model))
    for name, state in _optimizer_state(model, optimizer).items():
        tensors |= _prefixed(f"optimizer.{name}", {key: torch.as_tensor(value) for key, value in state.items()})
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    if write:
        _write(path, tensors, {_META: msgspec.json.encode(position).decode()})


def load_weights(path: Path, model: torch.nn.Module) -> None:
    """Loads weights written by `save_weights` or `save_checkpoint`.

    Raises:
        InputError: the file cannot be read, or its tensors do not fit this model; the message names the first misfit.
    """
    Checkpoint.read(path).load_into(model)


def restore(checkpoint: Checkpoint, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Restores a checkpoint into model, optimiser and random state; every process must call this.

    Raises:
        InputError: the checkpoint belongs to another model.
    """
    _check_model(checkpoint, model)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    state: dict[str, Tensors] = {}
    for name, tensor in checkpoint.part("optimizer").items():
        parameter, _, key = name.rpartition(".")
        # Checkpoints up to version 0.1 identify a parameter by its index.
        place = int(parameter) if parameter.isdigit() else None
        parameter = trained[place] if place is not None and place < len(trained) else parameter
        if parameter not in trained:
            raise InputError(
                f'checkpoint "{checkpoint.path.name}": parameter {parameter} is not trained by this run; '
                "give the options that the run was started with"
            )
        state.setdefault(parameter, {})[key] = tensor
    group = {key: value for key, value in optimizer.param_groups[0].items() if key != "params"}
    # Optimiser first: to create its state torch makes a step of length zero, so the weights are loaded after it.
    whole: dict[str, Any] = {"state": state, "param_groups": [{**group, "params": trained}]}
    set_optimizer_state_dict(model, optimizer, whole, options=_OF_OPTIMIZER)
    for name, parameter in model.named_parameters():
        if name not in state:  # torch's step gave it one
            optimizer.state.pop(parameter, None)
        elif isinstance(parameter, DTensor):
            _shard(optimizer.state[parameter], parameter)
    checkpoint.load_into(model)
    torch.set_rng_state(checkpoint.tensors["random.cpu"])
    if "random.cuda" in checkpoint.tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(checkpoint.tensors["random.cuda"])


def _shard(state: dict[str, torch.Tensor], parameter: DTensor) -> None:
    """Shards, as a parameter is, the states that torch leaves whole: those that the optimiser does not create."""
    for key, value in state.items():
        if value.shape == parameter.shape and not isinstance(value, DTensor):
            state[key] = distribute_tensor(value, parameter.device_mesh, parameter.placements)


def _model_state(model: torch.nn.Module) -> Tensors:
    return cast(Tensors, get_model_state_dict(model, options=_WHOLE))


def _optimizer_state(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, dict[str, Any]]:
    """Returns parameter name → optimiser state on the first process; an empty dict on the others."""
    whole: dict[str, Any] = dict(get_optimizer_state_dict(model, optimizer, options=_WHOLE))
    return whole.get("state", {})


def _prefixed(prefix: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def _write(path: Path, tensors: Mapping[str, torch.Tensor], meta: Mapping[str, str]) -> None:
    flat = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with atomic_write(path) as temporary:
        try:
            save_file(flat, temporary, metadata={**meta, _DIGEST: _digest(flat, meta)})
        except SafetensorError as error:  # such as a full disk
            raise ResourceError(f'"{path.name}" cannot be written: {error}; check the free space') from None


def _digest(tensors: Mapping[str, torch.Tensor], meta: Mapping[str, str]) -> str:
    """Returns a SHA-256 of names, bytes and metadata: safetensors detects a truncated file, not a changed byte."""
    digest = hashlib.sha256("".join(meta[key] for key in sorted(meta) if key != _DIGEST).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(_bytes(tensors[name]))
    return digest.hexdigest()


def _bytes(tensor: torch.Tensor) -> memoryview:
    whole: Any = tensor.reshape(-1).view(torch.uint8).numpy()
    return memoryview(whole)


def _check_model(checkpoint: Checkpoint, model: torch.nn.Module) -> None:
    weights = checkpoint.part("model")
    expected = model.state_dict()
    for name in sorted(expected.keys() | weights.keys()):
        network = tuple(expected[name].shape) if name in expected else "no such tensor"
        stored = tuple(weights[name].shape) if name in weights else "no such tensor"
        if network != stored:
            raise InputError(
                f'checkpoint "{checkpoint.path.name}": tensor {name}: expected {network}, got {stored}; '
                "it is another network's"
            )
