"""Exports a torch student to a verified bundle: ONNX, int8 Q/DQ, OpenVINO, parity with the student, model card."""

from .bundle_writer import export_bundle

__all__ = ["export_bundle"]
