"""Connected components of a label map, found from runs of equal voxels: memory grows with the runs, not the voxels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..hooks import Cancel, stop_if

Connectivity = Literal[6, 26]
RUN_BYTES = 140  # of arrays that exist at the same time, per run, where it touches many others


@dataclass(frozen=True, eq=False)
class Components:
    """The connected components of a label map, numbered by their first voxel in storage order.

    Attributes:
        labels: [N] label of each component.
        voxels: [N] number of voxels of each component.
    """

    labels: NDArray[np.intp]
    voxels: NDArray[np.int64]
    _runs: _Runs
    _component: NDArray[np.intp]  # [R] component of each run

    def erase(self, label_map: NDArray[Any], unwanted: NDArray[np.bool_]) -> None:
        """Sets the voxels of some components to background, in place.

        Args:
            label_map: [X, Y, Z] label map in which the components were found.
            unwanted: [N] true for each component to erase.
        """
        self._runs.erase(label_map, unwanted[self._component])


def find_components(
    label_map: NDArray[Any],
    labels: Sequence[int] | None = None,
    connectivity: Connectivity = 26,
    cancel: Cancel | None = None,
) -> Components:
    """Finds the connected components of each label.

    A run is a row of equal voxels along the first axis. The function collects runs plane by plane, finds those that
    touch by bisection of their sorted ends, and merges them by pointer jumping. It needs `RUN_BYTES` per run; an organ
    has one or two runs per line through it. Fastest where the first axis is contiguous, as in Fortran order.

    Args:
        label_map: [X, Y, Z] unsigned integers, 0 = background.
        labels: labels whose components are found; None means all but background.
        connectivity: 6 joins voxels that share a face, 26 also those that share an edge or a corner.
        cancel: function called before every step that is slow for a noisy map; it returns true to stop.

    Raises:
        UsageError: ``connectivity`` is neither 6 nor 26, or ``label_map`` is not 3D unsigned integers.
        Cancelled: ``cancel()`` returned true.
    """
    if connectivity not in (6, 26):
        raise UsageError(f"components: expected connectivity 6 or 26, got {connectivity}")
    if label_map.ndim != 3 or label_map.dtype.kind != "u":
        raise UsageError(f"components: expected [X, Y, Z] unsigned integers, got {label_map.ndim}D {label_map.dtype}")
    runs = _Runs.of(label_map, labels)
    parent = np.arange(len(runs.start))
    line, plane = runs.width, runs.plane
    before = [line, plane] if connectivity == 6 else [line, plane - line, plane, plane + line]
    for distance in before:
        stop_if(cancel)
        parent = _merged(parent, *runs.touching(distance, 0 if connectivity == 6 else 1))
    stop_if(cancel)
    first = parent == np.arange(len(parent))  # all runs of a component point to its first run
    component = (np.cumsum(first) - 1)[parent]
    voxels = np.bincount(component, runs.stop - runs.start, int(first.sum())).astype(np.int64)
    return Components(runs.label[first].astype(np.intp), voxels, runs, component)


def count_runs(label_map: NDArray[Any], labels: Sequence[int] | None = None) -> int:
    """Returns the number of runs in which `find_components` finds the components; it needs a few planes of memory.

    Args:
        label_map: [X, Y, Z] unsigned integers, 0 = background.
        labels: labels that count; None means all but background.
    """
    return sum(
        int(np.count_nonzero((padded[1:] != padded[:-1]) & (padded[1:] != 0))) for padded in _planes(label_map, labels)
    )


@dataclass(frozen=True, eq=False)
class _Runs:
    """The runs of a label map, sorted by position.

    A position is the index into the map flattened with a zero after each line and an empty line after each plane, so
    that no runs touch across an edge of the volume.

    Attributes:
        start: [R] position of each run's first voxel.
        stop: [R] position after its last voxel.
        label: [R] label of its voxels.
        width: number of positions per line.
        plane: number of positions per plane.
    """

    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    label: NDArray[Any]
    width: int
    plane: int

    @classmethod
    def of(cls, label_map: NDArray[Any], labels: Sequence[int] | None) -> _Runs:
        """Collects the runs of ``labels``, or of all labels if None."""
        x, y, _ = label_map.shape
        width, plane = x + 1, (x + 1) * (y + 1)
        starts, stops, found = [], [], []
        for k, padded in enumerate(_planes(label_map, labels)):
            edges = np.flatnonzero(padded[1:] != padded[:-1])
            value = padded[1:][edges]
            begins = np.flatnonzero(value)
            starts.append(edges[begins] + k * plane)
            stops.append(edges[begins + 1] + k * plane)  # every run ends in a zero or in another label
            found.append(value[begins])
        return cls(np.concatenate(starts), np.concatenate(stops), np.concatenate(found), width, plane)

    def touching(self, distance: int, reach: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Returns the pairs (first, second) of touching runs with the same label, in two lines of the map.

        Args:
            distance: positions from the second run's line to the first run's line.
            reach: 0 if the voxels must be side by side, 1 if a shared edge or corner is enough.
        """
        low = np.searchsorted(self.stop, self.start - (distance + reach), "right")
        high = np.searchsorted(self.start, self.stop - (distance - reach), "left")
        count = np.maximum(high - low, 0)
        first = np.repeat(np.arange(len(count)), count)
        second = np.arange(len(first)) + np.repeat(low - (np.cumsum(count) - count), count)
        same = self.label[first] == self.label[second]
        return first[same], second[same]

    def erase(self, label_map: NDArray[Any], unwanted: NDArray[np.bool_]) -> None:
        """Sets the voxels of the runs in ``unwanted`` [R] to background, plane by plane."""
        x, y, _ = label_map.shape
        step = np.zeros(self.plane, np.int8)
        for k, start, stop in self._by_plane(unwanted):
            step[start] += 1  # no two runs start at one place, and no two end at one
            step[stop] -= 1
            inside = np.cumsum(step, dtype=np.int8).reshape(y + 1, x + 1)[:y, :x]
            label_map[:, :, k][inside.T.astype(np.bool_)] = 0
            step[:] = 0

    def _by_plane(self, unwanted: NDArray[np.bool_]) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        start, stop = self.start[unwanted], self.stop[unwanted]
        planes = start // self.plane
        for k in np.unique(planes).tolist():
            here = slice(*np.searchsorted(planes, (k, k + 1)))
            yield k, start[here] - k * self.plane, stop[here] - k * self.plane


def _planes(label_map: NDArray[Any], labels: Sequence[int] | None) -> Iterator[NDArray[Any]]:
    """Yields each plane, flattened as `_Runs` says, with a zero before its first voxel, in one buffer for all."""
    x, y, z = label_map.shape
    padded = np.zeros(1 + (x + 1) * (y + 1), label_map.dtype)
    inside = padded[1:].reshape(y + 1, x + 1)[:y, :x]
    kept = None if labels is None else _identity_of(labels, label_map.dtype)
    for k in range(z):
        lines = label_map[:, :, k].T
        inside[...] = lines if kept is None else kept[lines]
        yield padded


def _identity_of(labels: Sequence[int], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Returns a lookup table that maps each of ``labels`` to itself and all others to 0."""
    table = np.zeros(np.iinfo(dtype).max + 1, dtype)
    table[list(labels)] = list(labels)
    return table


def _merged(parent: NDArray[np.intp], first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.intp]:
    """Joins pairs of nodes in a forest; afterwards every node points to its root, the lowest node of its tree.

    Each round links every root that has a lower neighbour to the lowest of them, then flattens the trees.
    """
    while True:
        first, second = parent[first], parent[second]
        apart = first != second
        first, second = first[apart], second[apart]
        if not len(first):
            return parent
        np.minimum.at(parent, np.maximum(first, second), np.minimum(first, second))
        while not np.array_equal(parent, further := parent[parent]):
            parent = further
