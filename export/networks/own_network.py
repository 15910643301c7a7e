"""A torch network of the user's own: a callable that builds it, a file with its weights, and a task."""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...runtime.errors import UsageError, first_line
from ...runtime.files.hashing import file_sha256
from ...runtime.task import Task
from ...training.trained_student import TrainedStudent
from .exported_network import exported_network
from .weights import load_weights

if TYPE_CHECKING:
    from collections.abc import Generator

    import torch

_EXPECTED = "expected MODULE:CALLABLE such as my_networks:build"


def open_network(target: str, weights: Path, task: Task) -> TrainedStudent:
    """Builds a network and loads its weights.

    Args:
        target: ``module:callable``. The module is imported, from the current folder too; the callable gets no
            arguments and returns the network, which maps [B, 1, D, H, W] to logits [B, C, D, H, W].
        weights: ``.safetensors``, or a ``.pt`` file that holds tensors alone.
        task: the task, with the patch that becomes the fixed window.

    Raises:
        UsageError: the callable cannot be found or returns no network, or the network does not suit the task.
        InputError: the weights are refused.
    """
    network = _built(target)
    load_weights(network, weights)
    facts = {"origin": f"{target}, weights {weights.name}", "weights_sha256": file_sha256(weights)}
    return exported_network(network, task, type(network).__name__, facts)


def _built(target: str) -> torch.nn.Module:
    import torch

    module_name, _, name = target.partition(":")
    if not (module_name and name):
        raise UsageError(f'--network: {_EXPECTED}, got "{target}"')
    with _current_folder_importable():
        try:
            found: Any = importlib.import_module(module_name)
            for part in name.split("."):
                found = getattr(found, part)
            network = found if isinstance(found, torch.nn.Module) else found()
        except ModuleNotFoundError as error:
            raise UsageError(f'--network: no module "{error.name}" here or among the installed ones') from None
        except Exception as error:  # the user's own code may raise anything
            raise UsageError(f"--network {target}: {type(error).__name__}: {first_line(error)}") from error
    if not isinstance(network, torch.nn.Module):
        raise UsageError(f"--network {target}: expected a torch.nn.Module, got {type(network).__name__}")
    return network


@contextmanager
def _current_folder_importable() -> Generator[None]:
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path.pop(0)
