"""The figures that `bedside export` measures of a variant: parity, Dice, probabilities, time, overlap."""

from __future__ import annotations

from ..checked_struct import CheckedStruct
from ..engines import Precision
from ..errors import FieldError


class Parity(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How close a variant is to the torch student, over the voxels of some patches.

    Attributes:
        max_abs_probability: largest absolute difference of a class probability.
        mean_abs_probability: mean absolute difference of the class probabilities.
        label_agreement: fraction of voxels with the same label.
        patches: number of patches compared.
    """

    max_abs_probability: float
    mean_abs_probability: float
    label_agreement: float
    patches: int


class DiceDrop(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Dice that a variant lost against fp32 with the same engine, over the gate cases; negative where it gained.

    Attributes:
        mean: the loss.
        low: lower end of its 95 % interval over the cases; None where a single case has the organ, or one of those that
            the loss is the mean of.
        high: upper end; None likewise.
    """

    mean: float
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.mean:+.4f}"
        return f"{self.mean:+.4f} ({self.low:+.4f} … {self.high:+.4f})"


class SpuriousVolume(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a variant finds of an organ in gate cases whose label map lacks it, beyond what fp32 finds there.

    Dice says nothing of such cases.

    Attributes:
        cases: number of gate cases that lack the organ.
        excess_ml: what the variant finds more of it than fp32 with the same engine, in ml, in the worst of these cases;
            negative where it finds less in all of them.
        organ_ml: size of the organ in ml: the most that fp32 finds of it in any gate case.
    """

    cases: int
    excess_ml: float
    organ_ml: float


class BorderProbabilities(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A variant's probabilities of an organ in the organ's border zone, over the patches of the comparison.

    The border zone is that of the student in float32: the voxels whose 5³ neighbourhood has voxels inside and outside
    of the organ. Both errors of confidence are expected calibration errors of the organ's probability (Guo et al. 2017,
    equation 3; 15 bins of equal width): against the student, and against the true labels.

    Attributes:
        voxels: voxels of the zone.
        difference: mean absolute difference from the student's probability.
        confidence_shift: in each bin, the difference between the variant's mean probability and the student's of the
            same voxels; the mean over the bins, weighted by their voxels.
        confidence_error: in each bin, the difference between the variant's mean probability and the share of voxels
            that are the organ; weighted likewise. None where no voxel of the zone has a known label.
    """

    voxels: int
    difference: float
    confidence_shift: float
    confidence_error: float | None = None


class SensitiveLayer(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A layer that int8 would cost too much, so that it stays in floating point in an int8 model.

    Attributes:
        name: name of the layer in the trained network, or else in the ONNX.
        price: what the layer cost in int8: the largest share of a bound of the gate that the model used beforehand,
            less what it used with this layer, too, in floating point.
        precision: precision of the model: ``"int8"`` or ``"uint8"``.
    """

    name: str
    price: float
    precision: Precision = "int8"


class OverlapPoint(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Accuracy and cost of one overlap of windows, on the gate cases.

    Attributes:
        overlap: fraction of a window shared with the next, 0 ≤ overlap < 1.
        dice: label name → mean Dice.
        windows: mean number of windows of a case.
        seconds: mean time of a case, from the scan in memory to its label map.
    """

    overlap: float
    dice: dict[str, float]
    windows: float
    seconds: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.overlap < 1:
            raise FieldError(f"overlap: expected 0 ≤ overlap < 1, got {self.overlap:g}")

    @property
    def mean_dice(self) -> float:
        """Mean Dice over the organs."""
        return sum(self.dice.values()) / max(len(self.dice), 1)


class TimedMachine(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The machine on which the variants were timed; their times say nothing about another.

    Attributes:
        identity: SHA-256 of all that a time depends on: the kind of CPU, the threads, and the versions of the engines
            and of bedside.
        cpu: model of the CPU, for people.
        threads: number of CPU threads.
    """

    identity: str
    cpu: str
    threads: int
