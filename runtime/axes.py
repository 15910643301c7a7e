"""The two orders of three whole numbers: along the axes of a scan, and along those of a network's tensors.

Both are tuples of three numbers, also in JSON and TOML. A type checker refuses either of them, and a plain tuple, where
the other is declared. When the program runs, `Task` and `Grid` convert plain tuples.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

Anchor = Literal["centre", "first-voxel"]  # what of a scan stays in place where its grid gets another spacing
ANCHORS: tuple[Anchor, ...] = get_args(Anchor)


class XYZ(NamedTuple):
    """Whole numbers along x, y and z: sizes of a scan [X, Y, Z], of its grid, of a task's patch.

    >>> print(XYZ(512, 512, 100).dhw)
    (100, 512, 512)
    """

    x: int
    y: int
    z: int

    @property
    def dhw(self) -> DHW:
        """The same numbers along D = z, H = y, W = x."""
        return DHW(self.z, self.y, self.x)

    def __str__(self) -> str:
        return str(tuple(self))


class DHW(NamedTuple):
    """Whole numbers along D, H and W: sizes of a network's tensors [B, C, D, H, W], of a prepared scan [D, H, W].

    >>> DHW(100, 512, 512).xyz
    XYZ(x=512, y=512, z=100)
    """

    d: int
    h: int
    w: int

    @property
    def xyz(self) -> XYZ:
        """The same numbers along x = W, y = H, z = D."""
        return XYZ(self.w, self.h, self.d)

    def __str__(self) -> str:
        return str(tuple(self))
