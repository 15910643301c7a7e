"""The ONNX models of a student, one per precision."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..runtime.bundles.figures import SensitiveLayer
from ..runtime.engines import Precision, open_engine
from .cases import ExportCases
from .half_precision import onnx_to_fp16
from .model_files import ONNX_ALONE, offered_variants
from .norms_in_parts import norms_in_parts
from .onnx_export import student_to_onnx
from .options import ExportOptions
from .parity import FP32_LABEL_AGREEMENT, FP32_LARGEST_DIFFERENCE
from .patches import sample_patches
from .quantize import quantize_onnx
from .reference import Reference
from .sensitive_layers import BoundsUsed, QuantizedModel, without_sensitive_layers

if TYPE_CHECKING:
    import onnx

_ENOUGH = 0.5  # of the bound on a probability: more may be beyond it on other patches


@dataclass(frozen=True, eq=False)
class OnnxModels:
    """Makes the models: int8 of fp32, and those in float16 of both.

    Attributes:
        reference: the student, and the patches that show which layers int8 costs most.
        cases: the scans of the export, of which some calibrate int8.
        options: options of the export.
        remark: called with notes on the progress.
    """

    reference: Reference
    cases: ExportCases
    options: ExportOptions
    remark: Callable[[str], None]

    def model(self, precision: Precision) -> onnx.ModelProto:
        """Returns the model in one of `MODEL_PRECISIONS`; it is not to be modified.

        Raises:
            UsageError: the student cannot be exported, or int8 has no layer to quantize.
            InputError: a calibration scan is refused.
            BundleError: a model is not valid.
            MissingExtraError: a package is not installed.
        """
        if precision == "fp32":
            return self._exact
        source = self._quantized.model if precision.startswith("int8") else self._exported
        return onnx_to_fp16(source) if precision.endswith("fp16") else source

    @property
    def sensitive_layers(self) -> tuple[SensitiveLayer, ...]:
        """The layers that stay in floating point in the int8 model; empty without one."""
        return self._quantized.sensitive if self.options.int8 else ()

    @cached_property
    def _exported(self) -> onnx.ModelProto:
        return student_to_onnx(self.reference.network, self.reference.task.patch.dhw)

    @cached_property
    def _exact(self) -> onnx.ModelProto:
        """The fp32 model: norms sum in parts, which takes longer, only where an engine needs it to be the student.

        That is where it uses more than half of the bound on a probability without, or misses the student's labels, also
        those of the golden patch, most of which is air. The models in other precisions keep the engines' own norms,
        which are computed in float32 whatever the layers around them; their bounds are wider.
        """
        mended = norms_in_parts(self._exported)
        if mended is self._exported:
            return mended
        content = self._exported.SerializeToString(deterministic=True)
        for variant in offered_variants(["fp32"], ONNX_ALONE):
            if variant.precision != "fp32":
                continue
            with closing(open_engine(variant.engine, content, threads=self.options.threads)) as engine:
                parity = self.reference.closeness(engine).parity
                agreement = min(parity.label_agreement, self.reference.golden.agreement(engine))
            difference = parity.max_abs_probability
            if difference > _ENOUGH * FP32_LARGEST_DIFFERENCE or agreement < FP32_LABEL_AGREEMENT:
                self.remark(
                    f"norms of {variant.name} change a probability by {difference:.5f} and {1 - agreement:.3%} of the "
                    "labels: fp32 gets norms summed in parts"
                )
                return mended
        return self._exported

    @cached_property
    def _quantized(self) -> QuantizedModel:
        patches = sample_patches(self.cases.calibration, self.reference.task, self.options.patches)
        return without_sensitive_layers(
            quantize_onnx(self._exported, patches),
            self._exported,
            BoundsUsed(self.reference, self.options.threads),
            self.options.int8_search,
            self.remark,
        )
