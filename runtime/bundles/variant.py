"""A bundle's variant: the model in one precision for one engine, with its measured figures."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..checked_struct import CheckedStruct
from ..engines import CPU, ENGINES, PRECISIONS, ModelFormat, Precision
from ..errors import FieldError
from ..shown_value import shown
from .figures import BorderProbabilities, DiceDrop, Parity, SpuriousVolume

LARGEST_TIME_SHARE = 0.95  # of a more exact variant's time, that a variant may need to be worth choosing


class Variant(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model in one precision for one engine.

    Attributes:
        precision: ``"fp32"``; ``"fp16"``, where all but the sensitive layers compute in float16; ``"int8"``, where the
            heavy layers are quantized; ``"uint8"``, where those are that ONNX Runtime on a CPU computes faster so, with
            activations in uint8; ``"int8-fp16"``, int8 with the other layers in float16; or ``"bf16"`` and
            ``"int8-bf16"``, the files of fp32 and int8 with floating-point layers computed in bfloat16.
        engine: name of the engine it was measured with, a row in `ENGINES`.
        file: path in the bundle, ``"model.int8.onnx"`` or ``"openvino/model.int8.xml"``.
        parity: closeness to the torch student.
        dice: label name → mean Dice on the gate cases.
        dice_drop: mean over the organs of what they lost against fp32 with the same engine; None for fp32 itself, and
            without gate cases.
        organ_drops: label name → the same of one organ.
        spurious: label name → what it finds of an organ where the truth lacks it, beyond fp32; of the organs that at
            least one gate case lacks.
        borders: label name → closeness to the student's probabilities near the organ's borders.
        ms_per_window: time of a window in milliseconds, on the manifest's ``timed_on``; None where it was not measured.
        timed_device: device of that time, as ``"CPU"`` or with name, title and driver; empty where it is not known.
        golden_agreement: fraction of the golden patch's voxels with the student's label, measured at export; the
            self-test requires it of int8 and bf16, less a margin.
        passed: whether it may replace fp32 (`bedside.export.gate` has the rule); None where that was not measured.
            fp32 has always passed, because a model that deviates from the student is not exported.
        gate_reason: why it did not pass, as a message; empty otherwise.
    """

    precision: Precision
    engine: str
    file: str
    parity: Parity | None = None
    dice: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    dice_drop: DiceDrop | None = None
    organ_drops: dict[str, DiceDrop] = msgspec.field(default_factory=dict[str, DiceDrop])
    spurious: dict[str, SpuriousVolume] = msgspec.field(default_factory=dict[str, SpuriousVolume])
    borders: dict[str, BorderProbabilities] = msgspec.field(default_factory=dict[str, BorderProbabilities])
    ms_per_window: float | None = None
    timed_device: str = ""
    golden_agreement: float | None = None
    passed: bool | None = None
    gate_reason: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.engine not in ENGINES:
            raise FieldError(f"engine: expected {', '.join(ENGINES)}, got {shown(self.engine)}")

    @property
    def model_format(self) -> ModelFormat:
        """Format of the model file."""
        return ModelFormat.of(self.file)

    @property
    def name(self) -> str:
        """Engine and precision, for people (``"openvino int8"``)."""
        return f"{self.engine} {self.precision}"

    @property
    def mean_dice(self) -> float | None:
        """Mean Dice over the organs of the gate cases; None where nothing was measured."""
        return sum(self.dice.values()) / len(self.dice) if self.dice else None

    @property
    def window_time(self) -> str:
        """``ms_per_window`` for people, with the device unless that is the CPU; a dash where it was not measured."""
        if self.ms_per_window is None:
            return "–"
        device = "" if self.timed_device in ("", CPU) else f" ({self.timed_device})"
        return f"{self.ms_per_window:.3g}{device}"

    @property
    def verdict(self) -> str:
        """The gate's verdict for people: "passed", "failed", or a dash where nothing was measured."""
        return {True: "passed", False: "failed", None: "–"}[self.passed]

    def more_exact_and_as_fast(self, others: Iterable[Variant]) -> Variant | None:
        """Returns the fastest more exact variant, if this one is not at least 5 % faster; None if it is.

        Such a variant is not worth its loss of accuracy on the machine that timed both.

        Args:
            others: variants that may be chosen instead; those without a time are left out.
        """
        exactness = PRECISIONS.index(self.precision)
        better = [each for each in others if each.ms_per_window and PRECISIONS.index(each.precision) < exactness]
        fastest = min(better, key=lambda each: each.ms_per_window or 0.0, default=None)
        if fastest is None or not fastest.ms_per_window or self.ms_per_window is None:
            return None
        return fastest if self.ms_per_window > LARGEST_TIME_SHARE * fastest.ms_per_window else None

    @property
    def weights(self) -> str | None:
        """Path in the bundle of an OpenVINO IR's weights; None for an ONNX file, which includes its weights."""
        return self.file.removesuffix(".xml") + ".bin" if self.model_format is ModelFormat.OPENVINO_IR else None
