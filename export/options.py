"""Options of an export."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..runtime import arguments
from ..runtime.bundles.signing import SigningKey
from ..runtime.engines import PRECISIONS, Precision
from ..runtime.errors import UsageError
from ..runtime.labels.postprocess import Postprocessing
from ..runtime.spelling import canonical
from ..runtime.task import Task
from ..training.runs.learned_from import LearnedFrom
from ..training.trained_student import TrainedStudent
from .cases import FEWEST_GATE_CASES, ExportCases, checked_collection
from .model_files import MODEL_PRECISIONS, SOURCES

DEFAULT_INT8_SEARCH = 300.0  # seconds
DEFAULT_OVERLAP_REASON = "the default; not chosen by measurement, for want of gate cases"


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of `export_bundle`.

    Attributes:
        dataset: data set whose training scans calibrate int8 and whose held-out cases are the gate's; None for none.
        gate_cases: most held-out cases of ``dataset`` for the gate; 0 for none. Fewer than 10 show little, and are
            warned of.
        cases: scans chosen by the caller instead of a data set's; None for those of ``dataset``.
        precisions: precisions of the models to write, in upper or lower case: "fp16", "int8", "uint8" (int8 as ONNX
            Runtime computes it fast on CPUs), "int8-fp16", and "fp32", which is always written. Where a
            device of this machine computes in bfloat16 or float16, OpenVINO's variants of these models are measured and
            offered too; they need no files.
        onnx_only: whether OpenVINO reads the ONNX in place of files of its own, half the bytes for a slower start.
        trainable: whether the bundle holds the student's weights too, for `bedside.distill.distill` to start from. Only
            those of bedside's own students can be used so.
        scan_hashes: whether the bundle holds the SHA-256 of each scan that its networks learned from, so that whoever
            has scans can tell which of these are among them (`bedside dataset seen`). A hash tells nothing of a scan to
            those who do not have it.
        patches: number of calibration patches.
        int8_search: the most seconds of the search for layers to keep in floating point, in int8 and uint8 each, which
            begins where it uses more than half of a bound of the gate; 0 for no search.
        keep_failed: whether variants that failed at the gate stay in the bundle, to be run where asked for by name;
            those that return NaN or infinity never do.
        page: HTML page to write with the gate's figures and pictures of its cases; None for none. It shows scans, so
            it is no part of the bundle.
        overlap: recommended overlap of windows, 0 ≤ overlap < 1; None chooses it on the gate cases, or 0.5 without
            those.
        overlap_reason: how ``overlap`` was chosen, as free text.
        postprocessing: what the bundle removes from every label map, those of the gate cases too; None for nothing.
        locator: what `bedside.distill.load_locator` returns, a network on a coarse grid that finds the windows with
            organs; added if no organ loses more than 0.002 Dice by it. None for none.
        licence: SPDX identifier, or another statement of the licence; None for the student's own.
        sign: the key that signs the bundle; None for no signature.
        threads: CPU threads; None for all.
        force: whether to replace an existing bundle.

    Raises:
        UsageError: an option has another type or is out of range, or options contradict each other.
    """

    dataset: str | os.PathLike[str] | None = None
    gate_cases: int = FEWEST_GATE_CASES
    cases: ExportCases | None = None
    precisions: Sequence[str] = ("fp32", "int8", "uint8")
    onnx_only: bool = False
    trainable: bool = False
    scan_hashes: bool = True
    patches: int = 16
    int8_search: float = DEFAULT_INT8_SEARCH
    keep_failed: bool = False
    page: str | os.PathLike[str] | None = None
    overlap: float | None = None
    overlap_reason: str = "as given at export"
    postprocessing: Postprocessing | None = None
    locator: TrainedStudent | None = None
    licence: str | None = None
    sign: SigningKey | None = None
    threads: int | None = None
    force: bool = False

    def __post_init__(self) -> None:
        arguments.optional(arguments.path, "dataset", self.dataset)
        arguments.whole_number("gate_cases", self.gate_cases, 0)
        arguments.optional(arguments.instance, "cases", self.cases, ExportCases)
        arguments.names("precisions", checked_collection("precisions", self.precisions, "a list of names"))
        arguments.flag("onnx_only", self.onnx_only)
        arguments.flag("trainable", self.trainable)
        arguments.flag("scan_hashes", self.scan_hashes)
        arguments.whole_number("patches", self.patches, 1)
        arguments.number("int8_search", self.int8_search, "seconds from 0 up", lambda seconds: seconds >= 0)
        arguments.flag("keep_failed", self.keep_failed)
        arguments.optional(arguments.path, "page", self.page)
        arguments.optional(arguments.overlap_share, "overlap", self.overlap)
        arguments.instance("overlap_reason", self.overlap_reason, str)
        arguments.optional(arguments.instance, "postprocessing", self.postprocessing, Postprocessing)
        arguments.optional(arguments.instance, "locator", self.locator, TrainedStudent, "open one with load_locator")
        arguments.optional(arguments.text, "licence", self.licence)
        arguments.optional(arguments.instance, "sign", self.sign, SigningKey, "read one with SigningKey.read")
        arguments.optional(arguments.whole_number, "threads", self.threads, 1, arguments.MOST_THREADS)
        arguments.flag("force", self.force)
        self._check_precisions()
        if self.dataset is not None and self.cases is not None:
            raise UsageError("cases: expected None beside a dataset, got both; give one of them")

    def _check_precisions(self) -> None:
        unknown = [precision for precision in self._precisions if precision not in MODEL_PRECISIONS]
        if unknown or not self.precisions:
            known = ", ".join(MODEL_PRECISIONS)
            notes = [f"; engines compute {each} from {SOURCES[each]}" for each in unknown if each in SOURCES]
            raise UsageError(f"precision: expected some of {known}, got {', '.join(unknown) or 'none'}{''.join(notes)}")
        if (self.int8 or self.uint8) and self.dataset is None and not (self.cases and self.cases.calibration):
            raise UsageError("int8 is calibrated on scans, got none; give --calibration DATASET, or --precision fp32")

    @property
    def _precisions(self) -> tuple[str, ...]:
        return tuple(canonical(precision, PRECISIONS) for precision in self.precisions)

    @property
    def int8(self) -> bool:
        """Whether a model with symmetric int8 layers is written, for OpenVINO and TensorRT."""
        return "int8" in self._precisions or "int8-fp16" in self._precisions

    @property
    def uint8(self) -> bool:
        """Whether a model with int8 layers is written for ONNX Runtime on CPUs."""
        return "uint8" in self._precisions

    @property
    def fp16(self) -> bool:
        """Whether a model with float16 layers is written."""
        return "fp16" in self._precisions or "int8-fp16" in self._precisions

    @property
    def model_precisions(self) -> tuple[Precision, ...]:
        """Precisions of the models to write, fp32 first; the bf16 variants run the same files."""
        return tuple(each for each in MODEL_PRECISIONS if each == "fp32" or each in self._precisions)

    def chosen_cases(self, task: Task, trained_on: Mapping[str, LearnedFrom] | None = None) -> ExportCases:
        """Returns the caller's cases, or those of the data set for a task; without either there are none.

        Args:
            task: the student's task.
            trained_on: as for `ExportCases.of_dataset`.

        Raises:
            InputError: the data set or a label map of the gate is refused, or its labels are not the task's.
        """
        if self.dataset is None:
            cases = (self.cases or ExportCases()).with_checked_gate(task)
        else:
            cases = ExportCases.of_dataset(Path(self.dataset), task, self.gate_cases, trained_on)
        return cases.with_calibration_remark() if self.int8 or self.uint8 else cases
