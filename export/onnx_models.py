"""The ONNX models of a student, one per precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from ..runtime.bundles.figures import SensitiveLayer
from ..runtime.engines import Precision
from .cases import ExportCases
from .int8.layers import QuantizedModel
from .int8.sensitive_layers import BoundsUsed, SearchedModel, without_sensitive_layers
from .int8.signed import quantize_signed
from .int8.unsigned import quantize_unsigned
from .onnx_graphs.half_precision import onnx_to_fp16
from .onnx_graphs.onnx_export import student_to_onnx
from .options import ExportOptions
from .patches import Note, Patches, sample_patches, unnoted
from .reference import Reference
from .threads import quantizer_threads

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True, eq=False)
class OnnxModels:
    """Makes the models: both forms of int8 of fp32, and those in float16 of fp32 and int8.

    All of them have the engines' own norms. `write_exact` replaces those of fp32 where they are not exact enough; in
    the other precisions the bounds are wider, and the norms are computed in float32 whatever the layers around them.

    Attributes:
        reference: the student, and the patches that show which layers int8 costs most.
        cases: the scans of the export, of which some calibrate int8.
        options: options of the export.
        remark: called with notes on the progress.
        note: called with each scan that is read for calibration and the warnings about it.
    """

    reference: Reference
    cases: ExportCases
    options: ExportOptions
    remark: Callable[[str], None]
    note: Note = unnoted

    def model(self, precision: Precision) -> onnx.ModelProto:
        """Returns the model in one of `MODEL_PRECISIONS`; it is not to be modified.

        Raises:
            UsageError: the student cannot be exported, or int8 has no layer to quantize.
            InputError: a calibration scan is refused.
            BundleError: a model is not valid.
            MissingExtraError: a package is not installed.
        """
        if precision == "uint8":
            return self._unsigned.quantized.model
        source = self._signed.quantized.model if precision.startswith("int8") else self._exported
        return onnx_to_fp16(source) if precision.endswith("fp16") else source

    @property
    def sensitive_layers(self) -> tuple[SensitiveLayer, ...]:
        """The layers that stay in floating point in the int8 models."""
        signed = self._signed.sensitive if self.options.int8 else ()
        return signed + (self._unsigned.sensitive if self.options.uint8 else ())

    @cached_property
    def _exported(self) -> onnx.ModelProto:
        return student_to_onnx(self.reference.network, self.reference.task.patch.dhw)

    @cached_property
    def _patches(self) -> Patches:
        task, count = self.reference.task, self.options.patches
        return sample_patches(self.cases.calibrating, task, count, note=self.note)

    @cached_property
    def _signed(self) -> SearchedModel:
        return self._searched(self._quantized(quantize_signed))

    @cached_property
    def _unsigned(self) -> SearchedModel:
        return self._searched(self._quantized(quantize_unsigned))

    def _quantized(self, quantize: Callable[[onnx.ModelProto, Patches], QuantizedModel]) -> QuantizedModel:
        model, patches = self._exported, self._patches
        with quantizer_threads(self.options.threads):
            return quantize(model, patches)

    def _searched(self, quantized: QuantizedModel) -> SearchedModel:
        cost = BoundsUsed(self.reference, self.options.threads)
        return without_sensitive_layers(quantized, cost, self.options.int8_search, self.remark)
