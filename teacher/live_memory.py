"""How many bytes of tensors are alive while code runs: the memory of a computation, counted instead of measured."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):
    """Follows every storage from the operation that made it to its release, forward, backward and optimiser alike.

    Under ``FakeTensorMode`` nothing is allocated or computed, so that a network of any size is followed in seconds. It
    counts what tensors hold; what an operation needs for itself inside (a convolution's workspace) and what an
    allocator leaves unused between blocks are not tensors.

    Attributes:
        held: bytes alive now, of storages made inside the block.
        peak: the most bytes that were alive at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.held = 0
        self.peak = 0
        self._storages: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs one operation and takes note of the storages it made."""
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
