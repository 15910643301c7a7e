"""The methods of quantization that are compared: each makes a model of a student's fp32 model, in a bundle's folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bedside.export.openvino_ir import onnx_to_openvino
from bedside.export.patches import LabelledPatch
from bedside.runtime.engines import Precision
from bedside.training.scores.metrics import dice_per_class
from numpy.typing import NDArray

INPUT = "image"
MAX_DROP = 0.003  # of mean Dice, as the gate's bound
ONNX_INT8, IR_INT8 = "model.int8.onnx", "openvino/model.int8.xml"

Patch = NDArray[np.float32]


@dataclass(frozen=True)
class Data:
    """What methods choose ranges and layers by; no test case is among it.

    Attributes:
        calibration: patches [1, 1, D, H, W] of training scans.
        validation: labelled patches of validation scans.
        ignore: value of label maps that marks voxels to leave out; None for none.
    """

    calibration: Sequence[Patch]
    validation: Sequence[LabelledPatch]
    ignore: int | None


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        title: its name in the table.
        engine: engine that runs its model.
        precision: precision in which the engine opens it.
        file: the model, as a path in the bundle.
        make: writes the model into the folder of a bundle; None where the bundle has it.
    """

    title: str
    engine: str
    precision: Precision
    file: str
    make: Callable[[Path, Data], None] | None = None


def bedside_without_search(folder: Path, data: Data) -> None:
    """What bedside quantizes, without the search for layers that int8 costs most."""
    import onnx
    from bedside.export.int8.signed import quantize_signed

    model = quantize_signed(onnx.load(folder / "model.fp32.onnx"), data.calibration).model
    (folder / ONNX_INT8).write_bytes(model.SerializeToString(deterministic=True))
    onnx_to_openvino(folder / ONNX_INT8, folder / IR_INT8)


def nncf_default(folder: Path, data: Data) -> None:
    """NNCF on OpenVINO's model, with its own settings."""
    import nncf

    _save(folder, nncf.quantize(_exact(folder), _calibration(data), subset_size=len(data.calibration)))


def nncf_seven_bits(folder: Path, data: Data) -> None:
    """NNCF with its own settings, but for 7 bits in place of 8 in the weights of all layers, as bedside has them."""
    import nncf
    from nncf.quantization.advanced_parameters import AdvancedQuantizationParameters, OverflowFix

    model = nncf.quantize(
        _exact(folder),
        _calibration(data),
        subset_size=len(data.calibration),
        advanced_parameters=AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
    )
    _save(folder, model)


def nncf_accuracy_control(folder: Path, data: Data) -> None:
    """NNCF, which then returns layers to float until the mean Dice of the validation patches fell by at most 0.003."""
    import nncf

    model = nncf.quantize_with_accuracy_control(
        _exact(folder),
        calibration_dataset=_calibration(data),
        validation_dataset=nncf.Dataset(list(data.validation)),
        validation_fn=lambda network, patches: (_mean_dice(network, patches, data.ignore), None),
        max_drop=MAX_DROP,
        subset_size=len(data.calibration),
    )
    _save(folder, model)


def onnx_runtime_static(folder: Path, data: Data) -> None:
    """ONNX Runtime's static quantization in Q/DQ form, with its own settings."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self._patches = iter(data.calibration)

        def get_next(self) -> dict[str, Patch] | None:
            patch = next(self._patches, None)
            return None if patch is None else {INPUT: patch}

    quantize_static(str(folder / "model.fp32.onnx"), str(folder / ONNX_INT8), Reader(), quant_format=QuantFormat.QDQ)


def onnx_runtime_static_in_openvino(folder: Path, data: Data) -> None:
    """The same model, in OpenVINO's form."""
    onnx_runtime_static(folder, data)
    onnx_to_openvino(folder / ONNX_INT8, folder / IR_INT8)


METHODS = (
    Method("fp32", "openvino", "fp32", "openvino/model.fp32.xml"),
    Method("fp32, ONNX Runtime", "onnxruntime", "fp32", "model.fp32.onnx"),
    Method("bf16", "openvino", "bf16", "openvino/model.fp32.xml"),
    Method("fp16", "onnxruntime", "fp16", "model.fp16.onnx"),
    Method("bedside int8", "openvino", "int8", IR_INT8),
    Method("bedside int8, ONNX Runtime", "onnxruntime", "int8", ONNX_INT8),
    Method("bedside uint8, ONNX Runtime", "onnxruntime", "uint8", "model.uint8.onnx"),
    Method("bedside int8 without search", "openvino", "int8", IR_INT8, bedside_without_search),
    Method("NNCF default", "openvino", "int8", IR_INT8, nncf_default),
    Method("NNCF, 7-bit weights", "openvino", "int8", IR_INT8, nncf_seven_bits),
    Method("NNCF accuracy control", "openvino", "int8", IR_INT8, nncf_accuracy_control),
    Method("ONNX Runtime static", "onnxruntime", "int8", ONNX_INT8, onnx_runtime_static),
    Method("ONNX Runtime static, OpenVINO", "openvino", "int8", IR_INT8, onnx_runtime_static_in_openvino),
)  # fp32 first: all others are compared with it


def copied(bundle: Path, folder: Path) -> Path:
    """Copies a bundle's folder, in place of an earlier copy."""
    shutil.rmtree(folder, ignore_errors=True)
    return shutil.copytree(bundle, folder)


def _exact(folder: Path) -> Any:
    from bedside.runtime.engines.open_vino import openvino_core

    return openvino_core().read_model(str(folder / "openvino/model.fp32.xml"))


def _calibration(data: Data) -> Any:
    import nncf

    return nncf.Dataset(list(data.calibration), lambda patch: {INPUT: patch})


def _save(folder: Path, model: Any) -> None:
    from bedside.runtime.engines.open_vino import import_openvino

    import_openvino().save_model(model, str(folder / IR_INT8), compress_to_fp16=False)


def _mean_dice(network: Any, patches: Iterable[LabelledPatch], ignore: int | None) -> float:
    """Returns the mean Dice over organs and patches."""
    scores: list[float] = []
    for patch in patches:
        logits = network({INPUT: patch.image})[0]
        ignored = None if ignore is None else patch.truth == ignore
        scores.append(float(np.nanmean(dice_per_class(logits[0].argmax(0), patch.truth, len(logits[0]), ignored)[1:])))
    return float(np.mean(scores))
