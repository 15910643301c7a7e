"""The model files of a bundle, one ONNX per precision and its conversions, and the variants that run them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..runtime.bundles.variant import Variant
from ..runtime.engines import ENGINES, EngineEntry, ModelFormat, Precision, engine_entries, inference_devices, supports
from .openvino_ir import onnx_to_openvino

if TYPE_CHECKING:
    import onnx

# Those with an ONNX of their own.
MODEL_PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8", "uint8", "int8-fp16")
CONVERTED: dict[Precision, tuple[Precision, ...]] = {  # precision of a file → those that some engines make of it
    "fp32": ("fp16", "bf16"),
    "int8": ("int8-bf16",),
}
SOURCES = {made: file for file, every in CONVERTED.items() for made in every if made not in MODEL_PRECISIONS}


@dataclass(frozen=True)
class ModelForm:
    """The files of the models in one format.

    Attributes:
        format: the format.
        pattern: path in the bundle, with ``{}`` for the precision.
        precisions: precisions that have a file in this format.
        convert: writes the file from the ONNX, called as ``convert(onnx, file)``; None for the ONNX itself.
        for_all: whether all engines that read the format get it, and not only those without a format of their own.
    """

    format: ModelFormat
    pattern: str
    precisions: tuple[Precision, ...]
    convert: Callable[[Path, Path], None] | None = None
    for_all: bool = False

    def file(self, precision: Precision) -> str:
        """Returns the path in the bundle of a model in this form."""
        return self.pattern.format(precision)

    @property
    def engines(self) -> list[str]:
        """Names of the engines that get their models in this form and run on this machine."""
        return [name for name, row in engine_entries() if self._fits(row) and inference_devices(name)]

    def _fits(self, row: EngineEntry) -> bool:
        return self.format in row.formats if self.for_all else row.model_format is self.format


ONNX = ModelForm(ModelFormat.ONNX, "model.{}.onnx", MODEL_PRECISIONS)
FORMS = (
    ONNX,
    # OpenVINO computes the fp32 model in float16 where a device has it, so a file of its own would say nothing new.
    ModelForm(ModelFormat.OPENVINO_IR, "openvino/model.{}.xml", ("fp32", "int8"), onnx_to_openvino),
)


ONNX_ALONE = (replace(ONNX, for_all=True),)
"""The forms of a bundle without OpenVINO's own files: OpenVINO reads the ONNX, and the bundle is half as large."""


def write_model(folder: Path, precision: Precision, forms: Sequence[ModelForm], model: onnx.ModelProto) -> None:
    """Writes the files of a model, over those that are there.

    Args:
        folder: directory of the unfinished bundle.
        precision: the model's precision.
        forms: forms of the bundle; the model is written in those that have its precision.
        model: the ONNX.
    """
    file = folder / ONNX.file(precision)
    file.write_bytes(model.SerializeToString(deterministic=True))
    for form in forms:
        if form.convert is not None and precision in form.precisions:
            form.convert(file, folder / form.file(precision))


def offered_variants(precisions: Sequence[Precision], forms: Sequence[ModelForm] = FORMS) -> list[Variant]:
    """Returns the variants of the written models, without measured figures.

    Those that an engine converts from the fp32 or int8 model come last; there are none in a precision in which the
    engine has no device on this machine, or a file.

    Args:
        precisions: precisions of the written models.
        forms: forms that each of them is written in.
    """
    variants = [
        Variant(precision=precision, engine=engine, file=form.file(precision))
        for precision in precisions
        for form in forms
        if precision in form.precisions
        for engine in form.engines
        if supports(engine, precision)
    ]
    of_files = {(variant.engine, variant.precision) for variant in variants}
    converted = [
        msgspec.structs.replace(variant, precision=precision)
        for variant in variants
        for precision in CONVERTED.get(variant.precision, ())
        if precision in ENGINES[variant.engine].converts and supports(variant.engine, precision)
        if (variant.engine, precision) not in of_files
    ]
    return variants + converted


def remove_unused_models(folder: Path, precisions: Sequence[Precision], variants: Sequence[Variant]) -> None:
    """Removes the model files that no variant runs; a precision's ONNX stays while another form of it is used.

    Args:
        folder: directory of the unfinished bundle.
        precisions: precisions of the written models.
        variants: the variants that stay.
    """
    used = {variant.file for variant in variants}
    for precision in precisions:
        files = {form.file(precision) for form in FORMS if precision in form.precisions}
        unused = files - used - ({ONNX.file(precision)} if files & used else set[str]())
        for name in unused:
            (folder / name).unlink(missing_ok=True)
            (folder / name).with_suffix(".bin").unlink(missing_ok=True)  # the weights of an OpenVINO IR
