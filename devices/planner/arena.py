"""Imitates how ONNX Runtime's allocator places tensors, to know how much of its memory a window touches.

The allocator takes regions from the system, each twice as large as the one before or larger where a tensor needs it,
gives each tensor the smallest free block that is large enough, and gives no region back. A window therefore holds more
than its tensors: blocks too small for a later tensor stay. The rules are those of `BFCArena` in ONNX Runtime 1.32
("best fit with coalescing", from TensorFlow), with its defaults.
"""

from __future__ import annotations

from dataclasses import dataclass

_UNIT = 256  # bytes; every block is a multiple of it
_FIRST_REGION = 1 << 20  # bytes
_MOST_WASTED = 128 << 20  # bytes; a larger rest is always split off


@dataclass
class _Block:
    """Bytes of a region, in use or free."""

    start: int
    size: int
    free: bool = True


@dataclass
class _Region:
    """Memory taken from the system: its blocks in order, and the bytes from its start that were ever in use."""

    blocks: list[_Block]
    touched: int = 0


@dataclass(frozen=True)
class Allocation:
    """Memory that an `Arena` gave: a block of a region."""

    region: _Region
    block: _Block


class Arena:
    """Gives and takes back memory by the rules of ONNX Runtime's allocator."""

    def __init__(self) -> None:
        self._regions: list[_Region] = []
        self._next_region = _FIRST_REGION
        self._extend(_FIRST_REGION)  # opening a network takes it

    @property
    def touched(self) -> int:
        """Bytes that were ever in use: what the system counts to the process."""
        return sum(region.touched for region in self._regions)

    def allocate(self, size: int) -> Allocation:
        """Returns memory for a tensor of some bytes."""
        size = -(-max(1, size) // _UNIT) * _UNIT
        fitting = [
            Allocation(region, block)
            for region in reversed(self._regions)  # of blocks of one size, the first in the latest region is taken
            for block in region.blocks
            if block.free and block.size >= size
        ]
        if not fitting:
            self._extend(size)
            return self.allocate(size)
        smallest = min(fitting, key=lambda each: each.block.size)
        region, block = smallest.region, smallest.block
        if block.size >= 2 * size or block.size - size >= _MOST_WASTED:
            rest = _Block(block.start + size, block.size - size)
            region.blocks.insert(region.blocks.index(block) + 1, rest)
            block.size = size
        block.free = False
        region.touched = max(region.touched, block.start + size)
        return smallest

    def release(self, allocation: Allocation) -> None:
        """Takes memory back, and joins it with free blocks beside it."""
        blocks = allocation.region.blocks
        allocation.block.free = True
        joined: list[_Block] = []
        for block in blocks:
            if joined and joined[-1].free and block.free:
                joined[-1].size += block.size
            else:
                joined.append(block)
        blocks[:] = joined

    def _extend(self, size: int) -> None:
        enough = size <= self._next_region
        while self._next_region < size:
            self._next_region *= 2
        self._regions.append(_Region([_Block(0, self._next_region)]))
        if enough:
            self._next_region *= 2
