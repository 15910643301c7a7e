"""Exports a torch student to a verified bundle: ONNX, int8 Q/DQ, OpenVINO, parity with the student, model card."""

from ..training.runs.learned_from import LearnedFrom
from ..training.trained_student import TrainedStudent
from .bundle_writer import export_bundle
from .cases import ExportCases
from .options import ExportOptions

__all__ = ["ExportCases", "ExportOptions", "LearnedFrom", "TrainedStudent", "export_bundle"]
