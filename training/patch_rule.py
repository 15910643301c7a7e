"""Which patches a network accepts: one rule for teachers and students."""

from __future__ import annotations

from dataclasses import dataclass

from ..runtime.axes import DHW


@dataclass(frozen=True)
class PatchRule:
    """Which patches a network accepts.

    Example:
        >>> rule = PatchRule.of_stride(8)
        >>> rule.accepts(DHW(40, 56, 40)), rule.accepts(DHW(40, 60, 40)), rule.accepts(DHW(8, 8, 8))
        (True, False, False)

    Attributes:
        multiple: number that every edge is a multiple of, in voxels.
        min_longest_edge: least length of the longest edge, in voxels.
    """

    multiple: int = 1
    min_longest_edge: int = 1

    @classmethod
    def of_stride(cls, stride: int) -> PatchRule:
        """Returns the rule of a network whose coarsest feature map has one voxel per ``stride`` voxels along each axis.

        That map needs whole voxels, and more than one: instance and batch normalisation compute a variance over them.

        Args:
            stride: product of all strides from the image to the coarsest feature map.
        """
        return cls(multiple=stride, min_longest_edge=2 * stride)

    @property
    def smallest(self) -> DHW:
        """The smallest patch that is accepted, in voxels; its longest edge is along W."""
        return self.covering(DHW(1, 1, 1))

    def accepts(self, patch_dhw: DHW) -> bool:
        """Returns whether patches of this size, in voxels, are accepted."""
        return (
            all(edge > 0 and edge % self.multiple == 0 for edge in patch_dhw)
            and max(patch_dhw) >= self.min_longest_edge
        )

    def covering(self, sizes: DHW) -> DHW:
        """Returns the smallest accepted patch that contains a box of these sizes, in voxels."""
        d, h, w = (self._rounded_up(size) for size in sizes)
        longest = w if max(d, h, w) >= self.min_longest_edge else self._rounded_up(self.min_longest_edge)
        return DHW(d, h, longest)

    def _rounded_up(self, size: int) -> int:
        return -(-size // self.multiple) * self.multiple

    def __str__(self) -> str:
        longest = f", one at least {self.min_longest_edge}" if self.min_longest_edge > self.multiple else ""
        return f"in multiples of {self.multiple} voxels{longest}" if self.multiple > 1 else f"of any size{longest}"
