"""Exports a torch student to a verified bundle: ONNX, int8 Q/DQ, OpenVINO, parity with the student, model card."""

from ..training.runs.learned_from import LearnedFrom
from .bundle_writer import export_bundle
from .cases import ExportCases
from .options import ExportOptions
from .student import ExportedStudent

__all__ = ["ExportCases", "ExportOptions", "ExportedStudent", "LearnedFrom", "export_bundle"]
