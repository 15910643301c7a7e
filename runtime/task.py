"""The task specification: one description for training, export and inference, stored in the bundle."""

from __future__ import annotations

import math
from collections.abc import Collection
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec

from . import arguments
from .arguments import is_axis_codes
from .axes import XYZ, Anchor
from .checked_struct import CheckedStruct
from .errors import FieldError, UsageError

if TYPE_CHECKING:
    from .labels.sides import SidedLabels
    from .scans.geometry import Grid

MAX_LABELS = 65_536  # what uint16 can hold
MAX_PATCH_VOXELS = 2**27  # 512³; networks use some millions
_PREPARATION = ("modality", "spacing", "orientation", "anchor", "intensity", "foreground")
_TEXTS = ("name", "anatomy", "intended_use")
_STANDARDISED = 3.0  # standard deviations: 99.7 % of normally distributed values lie within
_RANGE = (1e-15, 1e15)  # of intensities; far beyond any scanner, and float32 arithmetic stays finite within it


def _refuse_extreme(what: str, *numbers: float) -> None:
    """Refuses NaN, infinity and numbers so large or small that float32 arithmetic overflows or loses them."""
    low, high = _RANGE
    for number in numbers:
        if number != 0 and not low <= abs(number) <= high:
            raise FieldError(f"{what}: expected 0 or numbers from {low:g} to {high:g} in size, got {number}")


class Modality(str, Enum):
    """Imaging modality of a task."""

    CT = "CT"
    MR = "MR"


class Intensity(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How raw intensities become network input: clip, then either scale or standardise; or standardise by the scan.

    Attributes:
        clip: (low, high) in HU for CT; in percent of the body's voxels where ``clip_percentiles`` is set.
        clip_percentiles: whether ``clip`` is in percentiles of each scan's body; for MR, which has no absolute unit.
        scale_to: (a, b), onto which the clipped range is mapped linearly; None to standardise.
        subtract: subtracted after clipping; given together with ``divide``, or None.
        divide: non-zero divisor applied after ``subtract``, or None.
        standardise: whether to subtract the scan's own mean and divide by its own standard deviation, both within the
            smallest box that holds all non-zero voxels, as nnU-Net's ZScoreNormalization does; nothing is clipped then,
            so it goes with ``clip`` (0, 100) in percentiles.
        padding: normalised value that pads a scan smaller than the window; None for that of air, the low end of the
            range. Networks of nnU-Net and MONAI were trained with 0.
    """

    clip: tuple[float, float]
    clip_percentiles: bool = False
    scale_to: tuple[float, float] | None = None
    subtract: float | None = None
    divide: float | None = None
    standardise: bool = False
    padding: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        low, high = self.clip
        _refuse_extreme("intensity", *self.clip, *(self.scale_to or ()), self.subtract or 0.0, self.divide or 0.0)
        _refuse_extreme("intensity.padding", self.padding or 0.0)
        if not low < high:
            raise FieldError(f"intensity.clip: expected low < high, got ({low:g}, {high:g})")
        if self.clip_percentiles and not (low >= 0 and high <= 100):
            raise FieldError(f"intensity.clip: expected percentiles in 0…100, got ({low:g}, {high:g})")
        if self.standardise:
            if not (self.clip_percentiles and self.clip == (0, 100)) or self.scale_to or self.subtract is not None:
                raise FieldError("intensity: standardise goes with clip (0, 100) in percentiles and nothing else")
            return
        if self.scale_to is not None and self.scale_to[0] == self.scale_to[1]:
            raise FieldError(f"intensity.scale_to: expected two different values, got {self.scale_to[0]:g} twice")
        standardises = self.subtract is not None and bool(self.divide)
        if (self.subtract is None) != (self.divide is None) or (self.scale_to is not None) == standardises:
            raise FieldError("intensity: give either scale_to, or subtract together with a non-zero divide")
        if self.clip_percentiles and standardises:
            raise FieldError("intensity: percentile clipping goes with scale_to, not with subtract/divide")

    @property
    def air(self) -> float:
        """The normalised value that pads a scan smaller than the window: that of air, unless ``padding`` is given."""
        return self.normalised_range[0] if self.padding is None else self.padding

    @property
    def normalised_range(self) -> tuple[float, float]:
        """The smallest and the largest value the network can see; three standard deviations where ``standardise``."""
        if self.standardise:
            return -_STANDARDISED, _STANDARDISED
        if self.scale_to is not None:
            return self.scale_to
        low, high = ((edge - (self.subtract or 0.0)) / (self.divide or 1.0) for edge in self.clip)
        return low, high


class Foreground(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The threshold that separates the body from air and table.

    Attributes:
        above: raw intensity (HU for CT) above which a voxel counts as tissue; a fraction of the 99th percentile where
            ``relative`` is set, as for MR.
        relative: whether ``above`` is a fraction of the scan's 99th percentile.
    """

    above: float = -500.0
    relative: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        _refuse_extreme("foreground", self.above)


class Task(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A segmentation task.

    Triples are x, y, z along the axes of ``orientation``; network tensors are ``[B, C, D, H, W]`` with D = z.

    Attributes:
        name: name of a preset, or the user's own.
        modality: CT or MR.
        labels: index → name; index 0 is ``"background"``.
        spacing: (x, y, z) in mm of the grid the network works on.
        orientation: axis codes of that grid, each axis towards the named side (``"RAS"``).
        anchor: what of a scan that grid keeps in place: its ``"centre"``, or the centre of its ``"first-voxel"``, as
            MONAI's Spacingd does unless it scales the extent.
        intensity: clipping and normalisation.
        patch: window of the network, in voxels; a plain (x, y, z) is converted.
        foreground: the threshold between body and air.
        anatomy: free text that names the region.
        intended_use: free text that says what the model is for.

    Raises:
        UsageError: a field of another type or out of range (a `FieldError`, which is a ValueError too).
    """

    name: str
    modality: Modality
    labels: tuple[str, ...]
    spacing: tuple[float, float, float]
    intensity: Intensity
    patch: XYZ = XYZ(128, 128, 128)
    orientation: str = "RAS"
    anchor: Anchor = "centre"
    foreground: Foreground = Foreground()
    anatomy: str = ""
    intended_use: str = "Research only. Not a medical device."

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.labels) < 2 or self.labels[0] != "background":
            raise FieldError('labels: expected "background" at index 0 and at least one more label')
        if len(set(self.labels)) != len(self.labels):
            raise FieldError("labels: every name must be given once")
        for name in (self.name, *self.labels):
            if not (name.strip() and name.isprintable()):
                raise FieldError(f"name and labels: expected printable text on one line, got {name!r}")
        if len(self.labels) > MAX_LABELS:
            raise FieldError(f"labels: at most {MAX_LABELS}, got {len(self.labels)}")
        if not all(0.01 <= step <= 100 for step in self.spacing):
            raise FieldError(f"spacing: expected 0.01…100 mm per axis, got {self.spacing}")
        if not all(size >= 1 for size in self.patch) or math.prod(self.patch) > MAX_PATCH_VOXELS:
            raise FieldError(f"patch: expected positive voxel counts, {MAX_PATCH_VOXELS:,} in all, got {self.patch}")
        if not is_axis_codes(self.orientation):
            raise FieldError(f'orientation: expected axis codes such as "RAS", got "{self.orientation}"')

    @property
    def num_classes(self) -> int:
        """Number of network output channels, background included."""
        return len(self.labels)

    @property
    def sides(self) -> SidedLabels:
        """The labels that form left-right pairs."""
        from .labels.sides import find_sides  # its word lists are needed in training, not for `--help`

        return find_sides(self.labels)

    @property
    def has_paired_organs(self) -> bool:
        """Whether labels name sides, in any usual spelling; mirroring such a scan would swap left and right."""
        return self.sides.forbid_mirroring

    def index(self, label: str) -> int:
        """Returns the index of a label.

        Raises:
            UsageError: the task has no such label.
        """
        label = arguments.text("label", label)
        if label not in self.labels:
            raise UsageError(f'task "{self.name}" has no label "{label}"; it has: {", ".join(self.labels)}')
        return self.labels.index(label)

    def grid_over(self, scan: Grid) -> Grid:
        """Returns the grid on which the network sees a scan with this grid; see `Grid.to_task_grid`.

        Raises:
            InputError: the scan's axes are sheared by more than 60°.
        """
        return scan.to_task_grid(self.orientation, self.spacing, self.anchor)

    @property
    def preparation(self) -> dict[str, object]:
        """The fields that decide how a scan is prepared for the network, by name; the patch is none of them."""
        return {field: getattr(self, field) for field in _PREPARATION}

    def differing(self, other: Task, but: Collection[str] = ()) -> list[str]:
        """Returns the names of the fields that differ in another task; names and texts may.

        Args:
            other: the other task.
            but: further fields that may differ.
        """
        compared = (field for field in self.__struct_fields__ if field not in {*_TEXTS, *but})
        return [field for field in compared if getattr(self, field) != getattr(other, field)]

    def replaced(self, **changes: Any) -> Task:
        """Returns a validated copy with some fields changed.

        Raises:
            UsageError: the changed task is not valid.
        """
        try:
            return msgspec.structs.replace(self, **changes)
        except (ValueError, TypeError) as error:  # TypeError: no field of that name
            raise UsageError(f'task "{self.name}": {error}') from None
