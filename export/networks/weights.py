"""Loads the weights of a network from a file of plain tensors: every tensor by name and shape, or none."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...runtime.errors import InputError
from ...runtime.files.hashing import file_sha256
from ...training.tensor_file import read_tensor_file

_NESTED = ("state_dict", "model_state_dict", "network_weights", "model", "network", "net")
_WRAPPERS = ("module.", "_orig_mod.")  # prefixes of networks within DataParallel and torch.compile
_SHOWN = 3


def load_weights(network: torch.nn.Module, path: Path | zipfile.Path) -> None:
    """Reads a file of weights and copies them into a network.

    Args:
        network: its tensors must be those of the file, by name and shape.
        path: ``.safetensors``, or torch's format; the tensors by name, or in a dictionary under ``state_dict``,
            ``model`` or another usual name.

    Raises:
        InputError: as `copy_weights`, or the file is refused.
    """
    if not path.is_file():
        raise InputError(f'no weights at "{path}"; expected a .safetensors file, or a .pt file with tensors alone')
    copy_weights(network, read_tensor_file(path), path.name)


def copy_weights(
    network: torch.nn.Module, content: object, file: str, name_of: Callable[[str], str | None] = str
) -> None:
    """Copies the tensors of a checkpoint into a network: all that the network has, and no others.

    Args:
        network: its tensors must be those of the checkpoint, by name and shape.
        content: the checkpoint: tensors by name, or in a dictionary under ``state_dict`` or another usual name.
        file: the file's name, for messages.
        name_of: returns the network's name of a tensor; None for a tensor that the network does not need.

    Raises:
        InputError: the content holds other tensors than the network, or a value that is not finite.
    """
    own = network.state_dict()
    named = ((name_of(_unwrapped(name, own)), tensor) for name, tensor in _tensors(content, file).items())
    tensors = {name: tensor for name, tensor in named if name is not None}
    _check(own, tensors, file)
    network.load_state_dict(tensors)


def weights_sha256(path: Path | zipfile.Path) -> str:
    """Returns the SHA-256 of a file, in a folder or within a zip."""
    return file_sha256(path) if isinstance(path, Path) else hashlib.sha256(path.read_bytes()).hexdigest()


def _tensors(content: object, file: str) -> dict[str, Tensor]:
    state = content
    if isinstance(state, Mapping):
        nested = next((state[key] for key in _NESTED if isinstance(state.get(key), Mapping)), None)
        state = state if nested is None else nested
    if not isinstance(state, Mapping):
        raise InputError(f'"{file}": expected tensors by name (a state_dict), got {type(state).__name__}')
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise InputError(f'"{file}": expected tensors by name (a state_dict), got no tensor')
    return tensors


def _unwrapped(name: str, own: Collection[str]) -> str:
    """Returns a tensor's name without the prefixes of wrappers, in any order; a part of the network may be named so."""
    while name not in own and (wrapper := next(filter(name.startswith, _WRAPPERS), None)):
        name = name.removeprefix(wrapper)
    return name


def _check(own: Mapping[str, Tensor], given: Mapping[str, Tensor], file: str) -> None:
    missing, unknown = sorted(own.keys() - given.keys()), sorted(given.keys() - own.keys())
    if missing or unknown:
        parts = [f"{what} {_listed(names)}" for what, names in (("lacks", missing), ("has also", unknown)) if names]
        raise InputError(f'"{file}" holds the weights of another network: it {" and ".join(parts)}')
    for name, tensor in given.items():
        if tensor.shape != own[name].shape:
            raise InputError(
                f'"{file}" holds the weights of another network: expected "{name}" of shape {tuple(own[name].shape)}, '
                f"got {tuple(tensor.shape)}"
            )
        if tensor.is_floating_point() and not torch.isfinite(tensor).all():
            raise InputError(f'"{file}": "{name}" holds NaN or infinity; the training failed')


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(f'"{name}"' for name in names[:_SHOWN]) + more
