"""Checkpoints as safetensors: model, optimiser, random state and position, written atomically, no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..runtime.errors import InputError, ResourceError
from ..runtime.files.atomic import atomic_write

_META = "bedside"


@dataclass(frozen=True)
class Position:
    """Where in a training run a checkpoint was taken.

    Attributes:
        epoch: the epoch to go on with.
        step: the next step inside that epoch.
        loss_sum: sum of the losses of that epoch's finished steps.
        best: best validation score so far, or None.
    """

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best: float | None = None


def save_weights(path: Path, model: torch.nn.Module) -> None:
    """Writes a model's weights (parameters and persistent buffers) atomically."""
    _save(path, {f"model.{name}": tensor for name, tensor in model.state_dict().items()}, {})


def save_checkpoint(path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer, position: Position) -> None:
    """Writes everything that is needed to go on: weights, optimiser, random state, position. Atomic."""
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{key}": torch.as_tensor(value) for key, value in state.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    _save(path, tensors, {"epoch": position.epoch, "step": position.step, "loss_sum": position.loss_sum,
                          "best": position.best})  # fmt: skip


def load_weights(path: Path, model: torch.nn.Module) -> None:
    """Loads weights written by `save_weights` or `save_checkpoint`.

    Raises:
        InputError: the file cannot be read, or its tensors are not this model's; the message names the first.
    """
    tensors, _ = _load(path)
    _load_model(path, tensors, model)


def load_checkpoint(path: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Position:
    """Restores a checkpoint into model, optimiser and random state and returns the position.

    Raises:
        InputError: the file cannot be read or belongs to another model.
    """
    tensors, meta = _load(path)
    _load_model(path, tensors, model)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".", 2)
            state.setdefault(int(number), {})[key] = tensor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    torch.set_rng_state(tensors["random.cpu"])
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
    return Position(**meta)


def _save(path: Path, tensors: Mapping[str, torch.Tensor], meta: Mapping[str, Any]) -> None:
    flat = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with atomic_write(path) as temporary:
        try:
            save_file(flat, temporary, metadata={_META: json.dumps(meta)})
        except SafetensorError as error:  # a full disk, in the library's own words
            raise ResourceError(f'"{path.name}" cannot be written: {error}; check the free space') from None


def _load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:  # pyright: ignore[reportArgumentType]
            meta = json.loads((file.metadata() or {}).get(_META, "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118 - not a mapping
    except FileNotFoundError:
        raise InputError(f'no checkpoint "{path.name}" in {path.parent.name}; was the run trained?') from None
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise InputError(f'checkpoint "{path.name}" cannot be read: {error}') from None


def _load_model(path: Path, tensors: Mapping[str, torch.Tensor], model: torch.nn.Module) -> None:
    weights = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    expected = model.state_dict()
    for name in sorted(expected.keys() | weights.keys()):
        ours = tuple(expected[name].shape) if name in expected else "no such tensor"
        theirs = tuple(weights[name].shape) if name in weights else "no such tensor"
        if ours != theirs:
            raise InputError(f'checkpoint "{path.name}": tensor {name}: expected {ours}, got {theirs}')
    model.load_state_dict(weights)
