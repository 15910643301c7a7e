"""Agreement of two label maps inside the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Agreement:
    """A label map against a reference, inside the body.

    Attributes:
        same: share of voxels with the reference's label.
        worst: name of the class whose Dice is lowest; empty where neither map has a class.
        dice: Dice of that class.
        voxels: voxels of that class in the reference.
    """

    same: float
    worst: str
    dice: float
    voxels: int

    @staticmethod
    def of(
        labels: NDArray[np.integer], reference: NDArray[np.integer], body: NDArray[np.bool_], names: tuple[str, ...]
    ) -> Agreement:
        """Compares two label maps of one shape; classes that neither has are left out."""
        mine, wanted = labels[body], reference[body]
        scores: list[tuple[float, str, int]] = []
        for index, name in enumerate(names[1:], start=1):
            both = np.count_nonzero((mine == index) & (wanted == index))
            voxels = np.count_nonzero(wanted == index)
            either = voxels + np.count_nonzero(mine == index)
            if either:
                scores.append((2 * both / either, name, voxels))
        dice, worst, voxels = min(scores, default=(1.0, "", 0))
        return Agreement(float((mine == wanted).mean()), worst, dice, voxels)

    def __str__(self) -> str:
        worst = f"{self.dice:.4f} {self.worst} ({self.voxels} voxels)" if self.worst else "–"
        return f"{100 * self.same:.3f} % | {worst}"
