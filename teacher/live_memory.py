"""Counts the bytes of live tensors while code runs: the memory of a computation, without measuring a process."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):
    """Tracks every storage from the operation that creates it to its release, in forward, backward and optimiser.

    Under ``FakeTensorMode`` nothing is allocated or computed, so that a network of any size is tracked in seconds. Only
    tensors count: not the workspace inside an operation such as a convolution, nor memory that an allocator leaves
    unused between its blocks.

    Attributes:
        held: bytes alive now, of storages created inside the ``with`` block.
        peak: the most bytes alive at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held = 0
        self.peak = 0
        self._storages: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs one operation and counts the storages it creates."""
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, torch.Tensor):
                self._take_note(leaf.untyped_storage())
        return result

    def _take_note(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata  # pyright: ignore[reportPrivateUsage] - its only identity without memory
        if key in self._storages:
            return
        size = storage.nbytes()
        self._storages[key] = size
        self.held += size
        self.peak = max(self.peak, self.held)
        # A storage's Python object lives as long as the storage itself, autograd's hold on it included.
        weakref.finalize(storage, self._release, key).atexit = False

    def _release(self, key: int) -> None:
        self.held -= self._storages.pop(key)
