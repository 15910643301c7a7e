"""A manifest's entry of the locator: its network, the region that it leaves to the windows, and measured figures."""

from __future__ import annotations

import msgspec

from ..axes import XYZ
from ..checked_struct import CheckedStruct
from ..errors import FieldError
from ..task import Task
from .golden_files import Golden

LOCATOR_LABELS = ("background", "organ")
LOCATOR_GOLDEN_LABELS = "locator_golden_labels.npy"  # path in the bundle of the labels of its golden patch


class LocatorEntry(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A small network on a coarse grid that says where the task's organs are.

    Windows that hold none of them are left out. The network maps [batch, 1, D, H, W] to two logits, of background and
    of any organ, at orientation and intensities of the bundle's task.

    Attributes:
        spacing: (x, y, z) in mm of its grid.
        patch: its window, in voxels; a plain (x, y, z) is converted.
        threshold: probability of an organ from which on a voxel belongs to the region, above 0 and below 1.
        margin_mm: distance by which the region is grown along each axis, in mm.
        file: path in the bundle of its ONNX, float32.
        golden_input: path of the ``.npy`` file with its golden patch, as in `Golden`.
        golden_output: path of the ``.npy`` file with the torch network's probabilities for it.
        golden_labels: path of the ``.npy`` file with its labels; None up to schema version 3.
        network: registered name of the network.
        data_hash: SHA-256 over the training data's list and files.
        cases: number of labelled scans to which threshold and margin were fitted.
        recall: fraction of the organs' voxels within the region before it is grown, over those scans.
        organ_recall: label → the same of one organ; empty up to schema version 6.
        windows_saved: fraction of the windows with body that it leaves out: of each scan with the threshold and margin
            that the others choose; up to schema version 6 with its own.
        dice_loss: label → mean Dice lost by leaving these windows out; negative where it gained.
    """

    spacing: tuple[float, float, float]
    patch: XYZ
    threshold: float
    margin_mm: float
    file: str = "locator.onnx"
    golden_input: str = "locator_golden_input.npy"
    golden_output: str = "locator_golden_output.npy"
    golden_labels: str | None = None
    network: str = ""
    data_hash: str = ""
    cases: int = 0
    recall: float | None = None
    organ_recall: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    windows_saved: float | None = None
    dice_loss: dict[str, float] = msgspec.field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.threshold < 1:
            raise FieldError(f"locator.threshold: expected a probability above 0 and below 1, got {self.threshold:g}")
        if not 0 <= self.margin_mm <= 1000:
            raise FieldError(f"locator.margin_mm: expected 0…1000 mm, got {self.margin_mm:g}")

    @property
    def files(self) -> tuple[str, ...]:
        """Paths in the bundle of the network and its golden patch."""
        return self.file, *self.golden.files

    @property
    def golden(self) -> Golden:
        """The files of its self-test."""
        return Golden(input=self.golden_input, output=self.golden_output, labels=self.golden_labels)

    def task(self, task: Task) -> Task:
        """Returns the locator's task: that of the bundle on the locator's grid, with all organs as one label.

        Args:
            task: the bundle's task.

        Raises:
            FieldError: spacing or patch are not valid.
        """
        return msgspec.structs.replace(task, labels=LOCATOR_LABELS, spacing=self.spacing, patch=self.patch)
