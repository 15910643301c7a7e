"""The student's logits on the patches of the comparison, against which every variant is measured."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..runtime import arguments
from ..runtime.bundles.manifest import Variant
from ..runtime.engines import CPU, open_engine
from ..runtime.errors import UsageError
from ..runtime.task import Task
from .golden import GoldenPatch
from .half_precision import RoundedStudent
from .parity import Logits, affordable_patches, check_fp32, compare, student_logits
from .patches import Patches, noise_patches, sample_patches

if TYPE_CHECKING:
    import torch

_PARITY_PATCHES = 8
_FP16_PATCHES = 2
_PARITY_SEED = 1  # other patches than those of the calibration


@dataclass(frozen=True, eq=False)
class Reference:
    """The student and its logits.

    Attributes:
        network: copy of the student in evaluation mode, float32, on the CPU.
        patches: the comparison's patches, [1, 1, D, H, W] each.
        logits: the student's logits of each patch, [1, C, D, H, W].
        golden: the golden patch with the student's logits.
    """

    network: torch.nn.Module
    patches: Patches
    logits: list[Logits]
    golden: GoldenPatch

    @classmethod
    def from_student(cls, model: torch.nn.Module, task: Task, scans: Sequence[Path]) -> Reference:
        """Draws the comparison's patches and runs the student on them and on the golden patch.

        Args:
            model: the student; not modified.
            task: the task it was trained for.
            scans: scans to draw patches from; without scans the patches are noise.

        Raises:
            UsageError: the model is no network, or its logits are not finite or not of the task's shape.
            InputError: a scan is refused.
        """
        import torch

        model = arguments.instance("model", model, torch.nn.Module)
        network = copy.deepcopy(model).to(torch.device("cpu"), torch.float32).eval()
        count = affordable_patches(task.patch.dhw, task.num_classes, _PARITY_PATCHES)
        patches = sample_patches(scans, task, count, seed=_PARITY_SEED) if scans else noise_patches(task, count)
        logits = [student_logits(network, patch) for patch in patches]
        expected = (1, task.num_classes, *task.patch.dhw)
        if logits[0].shape != expected:
            raise UsageError(f"the student returns {logits[0].shape}; the task wants {expected} [1, C, D, H, W]")
        return cls(network, patches, logits, GoldenPatch.from_student(network, task))

    def measure(self, variant: Variant, folder: Path, threads: int | None) -> Variant:
        """Runs a variant on the patches and the golden patch, and returns it with its parity and golden agreement.

        A CPU may compute an fp16 model in float32. There, the student with weights and results rounded to float16 is
        compared as well, on two patches, and the parity is the worse of the two.

        Args:
            variant: the variant, without figures.
            folder: directory of the unfinished bundle.
            threads: CPU threads; None for all.

        Raises:
            BundleError: the variant returns NaN or infinity, or, in fp32, does not compute what the student computes.
        """
        engine = open_engine(variant.engine, folder / variant.file, threads=threads, precision=variant.precision)
        try:
            parity = compare(engine, self.patches, self.logits)
            if variant.precision == "fp32":
                check_fp32(engine, parity)
            if variant.precision == "fp16" and engine.device == CPU:  # which may compute in float32
                few = slice(_FP16_PATCHES)
                rounded = compare(RoundedStudent(self.network), self.patches[few], self.logits[few])
                parity = max(parity, rounded, key=lambda figures: figures.mean_abs_probability)
            agreement = self.golden.agreement(engine)
        finally:
            engine.close()
        return msgspec.structs.replace(variant, parity=parity, golden_agreement=agreement)
