"""The model files of a bundle, one ONNX per precision and its conversions, and the variants that run them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ..runtime.bundles.manifest import Precision, Variant
from ..runtime.engines import ModelFormat, engine_entries, supports
from .openvino_ir import onnx_to_openvino

_IN_BFLOAT16: dict[Precision, Precision] = {"fp32": "bf16", "int8": "int8-bf16"}  # the same files, computed in bfloat16


@dataclass(frozen=True)
class ModelForm:
    """The files of the models in one format.

    Attributes:
        format: the format.
        pattern: path in the bundle, with ``{}`` for the precision.
        convert: writes the file from the ONNX, called as ``convert(onnx, file)``; None for the ONNX itself.
    """

    format: ModelFormat
    pattern: str
    convert: Callable[[Path, Path], None] | None = None

    def file(self, precision: Precision) -> str:
        """Returns the path in the bundle of a model in this form."""
        return self.pattern.format(precision)

    @property
    def engines(self) -> list[str]:
        """Names of the installed engines that get their models in this form."""
        return [name for name, row in engine_entries() if row.model_format is self.format and row.is_installed]


ONNX = ModelForm(ModelFormat.ONNX, "model.{}.onnx")
FORMS = (
    ONNX,
    ModelForm(ModelFormat.OPENVINO_IR, "openvino/model.{}.xml", onnx_to_openvino),
)


def offered_variants(precisions: Sequence[Precision]) -> list[Variant]:
    """Returns the variants of the written models, without measured figures.

    The bf16 variants come last; there are none for an engine that does not compute in bfloat16 on this machine.

    Args:
        precisions: precisions of the written models.
    """
    variants = [
        Variant(precision=precision, engine=engine, file=form.file(precision))
        for precision in precisions
        for form in FORMS
        for engine in form.engines
    ]
    in_bfloat16 = [
        msgspec.structs.replace(variant, precision=_IN_BFLOAT16[variant.precision])
        for variant in variants
        if supports(variant.engine, _IN_BFLOAT16[variant.precision])
    ]
    return variants + in_bfloat16


def remove_unused_models(folder: Path, precisions: Sequence[Precision], variants: Sequence[Variant]) -> None:
    """Removes the model files that no variant runs; a precision's ONNX stays while another form of it is used.

    Args:
        folder: directory of the unfinished bundle.
        precisions: precisions of the written models.
        variants: the variants that stay.
    """
    used = {variant.file for variant in variants}
    for precision in precisions:
        files = {form.file(precision) for form in FORMS}
        unused = files - used - ({ONNX.file(precision)} if files & used else set[str]())
        for name in unused:
            (folder / name).unlink()
            (folder / name).with_suffix(".bin").unlink(missing_ok=True)  # the weights of an OpenVINO IR
