"""Converts an ONNX file to OpenVINO's IR, so that a device needs no ONNX front end and starts faster."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.engines.open_vino import import_openvino, openvino_core
from ..runtime.errors import BundleError, MissingExtraError, ResourceError

if TYPE_CHECKING:
    import openvino  # noqa: TID251 - for its types


def onnx_to_openvino(model: Path, xml: Path) -> None:
    """Converts an ONNX file to an IR: ``xml`` and, beside it, a ``.bin`` with the weights.

    Weights keep their format: by default OpenVINO would store float32 as float16. Telemetry stays off. The same ONNX
    gives the same bytes.

    Args:
        model: path of the fp32 or Q/DQ int8 ONNX.
        xml: path of the IR to write; its folder is created.

    Raises:
        MissingExtraError: openvino is not installed.
        BundleError: OpenVINO cannot read the model.
        ResourceError: OpenVINO cannot be imported, or the files cannot be written.
    """
    if find_spec("openvino") is None:
        raise MissingExtraError("openvino", "export")
    openvino = import_openvino()
    try:
        network = openvino_core().read_model(str(model))
    except RuntimeError as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise BundleError(f"OpenVINO cannot read {model.name}: {reason}") from None
    _name_by_position(network)
    try:
        xml.parent.mkdir(parents=True, exist_ok=True)
        openvino.save_model(network, str(xml), compress_to_fp16=False)
    except (OSError, RuntimeError) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise ResourceError(f"{xml.name} cannot be written: {reason}") from None


def _name_by_position(network: openvino.Model) -> None:
    """Renames the operations that OpenVINO named by counting all operations that the process has made so far."""
    for position, operation in enumerate(network.get_ordered_ops()):
        if operation.get_friendly_name() == operation.get_name():
            operation.set_friendly_name(f"{operation.get_type_name()}.{position}")
