"""The student's probabilities on the patches of the comparison, against which every variant is measured."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..runtime import arguments
from ..runtime.bundles.figures import BorderProbabilities, Parity
from ..runtime.bundles.variant import Variant
from ..runtime.engines import CPU, open_engine
from ..runtime.errors import UsageError
from ..runtime.labels.probabilities import softmax
from ..runtime.task import Task
from .cases import ExportCases
from .gate.borders import BorderComparison, Zones, border_zones
from .gate.verdict import without_figures
from .golden import GoldenPatch
from .onnx_graphs.half_precision import RoundedStudent
from .parity import (
    Inference,
    NotFiniteError,
    ParityComparison,
    Probabilities,
    affordable_patches,
    check_fp32,
    check_fp32_labels,
    student_logits,
    variant_logits,
)
from .patches import LabelledPatch, Note, noise_patches, organ_patches, sample_patches, unnoted

if TYPE_CHECKING:
    import torch

_PATCHES = 8  # at least, where memory allows
_PATCHES_OF_AN_ORGAN = 2  # at least, where memory allows
_NOISE_PATCHES = 2  # without scans: noise is alike everywhere
_IN_FLOAT16 = ("fp16", "int8-fp16")
_SEED = 1  # of a single scan, other patches than those of the calibration


@dataclass(frozen=True, eq=False)
class Reference:
    """The student and its probabilities.

    Attributes:
        network: copy of the student in evaluation mode, float32, on the CPU.
        task: the task it was trained for.
        patches: the comparison's patches.
        probabilities: the student's class probabilities of each patch, [C, D, H, W].
        golden: the golden patch with the student's logits.
        ignore: value of the patches' label maps that marks voxels without a known label; None where all are known.
    """

    network: torch.nn.Module
    task: Task
    patches: Sequence[LabelledPatch]
    probabilities: Sequence[Probabilities]
    golden: GoldenPatch
    ignore: int | None = None
    _compared: dict[_Key, VariantComparison] = field(default_factory=dict["_Key", "VariantComparison"], repr=False)

    @classmethod
    def from_student(cls, model: torch.nn.Module, task: Task, cases: ExportCases, *, note: Note = unnoted) -> Reference:
        """Draws the comparison's patches and runs the student on them and on the golden patch.

        Args:
            model: the student; not modified.
            task: the task it was trained for.
            cases: scans to draw patches from: the gate cases, around their organs; without those the scans that
                `ExportCases.compared` names, in the body. Without scans the patches are noise.
            note: called with each scan that is read and the warnings about it.

        Raises:
            UsageError: the model is no network, or its logits are not finite or not of the task's shape.
            InputError: a scan is refused.
        """
        import torch

        model = arguments.instance("model", model, torch.nn.Module)
        network = copy.deepcopy(model).to(torch.device("cpu"), torch.float32).eval()
        patches = _patches(task, cases, note)
        expected = (1, task.num_classes, *task.patch.dhw)
        probabilities: list[Probabilities] = []
        for patch in patches:
            logits = student_logits(network, patch.image)
            if logits.shape != expected:
                raise UsageError(f"the student returns {logits.shape}; the task wants {expected} [1, C, D, H, W]")
            probabilities.append(softmax(logits[0]))
        return cls(network, task, patches, probabilities, GoldenPatch.from_student(network, task), cases.ignore)

    def measure(self, variant: Variant, folder: Path, threads: int | None) -> Variant:
        """Runs a variant on the patches and the golden patch, and returns it with the figures of the comparison.

        A CPU may compute float16 layers in float32. There, the student with weights and results rounded to float16 is
        compared as well, on the same patches, and each figure is the worse of the two.

        A variant other than fp32 that returns NaN or infinity has failed, and gets the reason in place of figures.

        Args:
            variant: the variant, without figures.
            folder: directory of the unfinished bundle.
            threads: CPU threads; None for all.

        Raises:
            BundleError: fp32 returns NaN or infinity, or does not compute what the student computes, on the patches or
                the golden patch.
        """
        try:
            comparison = self.compare(variant, folder, threads)
            on_patches = comparison.on_patches
            if variant.precision in _IN_FLOAT16 and comparison.device == CPU:  # which may compute in float32
                on_patches = on_patches.worse(self._rounded)
        except NotFiniteError as error:
            if variant.precision == "fp32":
                raise
            return without_figures(variant, str(error))
        agreement = comparison.golden_agreement
        if variant.precision == "fp32":
            check_fp32(variant.engine, on_patches.parity)
            check_fp32_labels(variant.engine, agreement)
        return msgspec.structs.replace(
            variant, parity=on_patches.parity, borders=on_patches.borders, golden_agreement=agreement
        )

    def compare(self, variant: Variant, folder: Path, threads: int | None) -> VariantComparison:
        """Compares a variant with the student on the patches and the golden patch.

        The same model in the same engine runs only once.

        Args:
            variant: names the engine, the precision and the model file.
            folder: directory of the unfinished bundle.
            threads: CPU threads; None for all.

        Raises:
            NotFiniteError: the variant returns NaN or infinity.
        """
        file = folder / variant.file
        weights = file.with_suffix(".bin")  # of an OpenVINO IR
        digests = [hashlib.sha256(each.read_bytes()).digest() for each in (file, weights) if each.is_file()]
        key = (variant.engine, variant.precision, threads, b"".join(digests))
        if key not in self._compared:
            opened = open_engine(variant.engine, file, threads=threads, precision=variant.precision)
            with closing(opened) as engine:
                on_patches, agreement = self.compare_on_patches(engine), self.golden.agreement(engine)
                self._compared[key] = VariantComparison(on_patches, agreement, engine.device)
        return self._compared[key]

    @cached_property
    def _rounded(self) -> PatchComparison:
        return self.compare_on_patches(RoundedStudent(self.network))

    @cached_property
    def _zones(self) -> list[Zones]:
        return [border_zones(student) for student in self.probabilities]

    def compare_on_patches(self, variant: Inference) -> PatchComparison:
        """Compares a variant with the student on the patches.

        Args:
            variant: the variant, opened.

        Raises:
            NotFiniteError: the variant returns NaN or infinity.
        """
        parity, borders = ParityComparison(), BorderComparison(self.task.num_classes)
        for patch, student, zones in zip(self.patches, self.probabilities, self._zones, strict=True):
            probabilities = softmax(variant_logits(variant, patch.image))
            parity.add(probabilities, student)
            borders.add(probabilities, student, patch.truth, self.ignore, zones)
        return PatchComparison(parity.figures(), borders.figures(self.task.labels))


@dataclass(frozen=True)
class PatchComparison:
    """How close a variant's probabilities are to the student's on the patches.

    Attributes:
        parity: over all voxels.
        borders: label name → near the borders of the organ.
    """

    parity: Parity
    borders: Mapping[str, BorderProbabilities]

    def worse(self, other: PatchComparison) -> PatchComparison:
        """Returns the worse of each figure of two comparisons on the same patches."""
        parity, others = self.parity, other.parity
        return PatchComparison(
            Parity(
                max_abs_probability=max(parity.max_abs_probability, others.max_abs_probability),
                mean_abs_probability=max(parity.mean_abs_probability, others.mean_abs_probability),
                label_agreement=min(parity.label_agreement, others.label_agreement),
                patches=parity.patches,
            ),
            {organ: _worse_border(border, other.borders[organ]) for organ, border in self.borders.items()},
        )


def _worse_border(border: BorderProbabilities, other: BorderProbabilities) -> BorderProbabilities:
    errors = [each.confidence_error for each in (border, other) if each.confidence_error is not None]
    return BorderProbabilities(
        voxels=border.voxels,
        difference=max(border.difference, other.difference),
        confidence_shift=max(border.confidence_shift, other.confidence_shift),
        confidence_error=max(errors, default=None),
    )


@dataclass(frozen=True)
class VariantComparison:
    """How close a variant is to the student on the patches and the golden patch.

    Attributes:
        on_patches: the comparison on the patches.
        golden_agreement: fraction of the golden patch's voxels with the student's label.
        device: name of the device that ran it.
    """

    on_patches: PatchComparison
    golden_agreement: float
    device: str


_Key = tuple[str, str, int | None, bytes]  # engine, precision, threads and digest of the model's files


def _patches(task: Task, cases: ExportCases, note: Note) -> list[LabelledPatch]:
    wanted = max(_PATCHES, _PATCHES_OF_AN_ORGAN * (task.num_classes - 1))
    count = affordable_patches(task.patch.dhw, task.num_classes, wanted)
    if cases.gate:
        return organ_patches(cases.gate, task, count, seed=_SEED, note=note)
    count = min(count, _PATCHES)
    if cases.compared:
        images = sample_patches(cases.compared, task, count, seed=_SEED, note=note)
    else:
        images = noise_patches(task, min(count, _NOISE_PATCHES))
    return [LabelledPatch(image) for image in images]
