"""Options of an export."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..runtime import arguments
from ..runtime.bundles.manifest import Precision
from ..runtime.errors import UsageError
from ..runtime.labels.postprocess import Postprocessing
from ..runtime.task import Task
from .cases import ExportCases, checked_collection

DEFAULT_OVERLAP = 0.5
DEFAULT_OVERLAP_REASON = "the default; not yet chosen by measurement"


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """Options of `export_bundle`.

    Attributes:
        dataset: data set whose training scans calibrate int8 and whose held-out cases are the gate's; None for none.
        gate_cases: most held-out cases of ``dataset`` to measure Dice on, per variant; 0 for none.
        cases: scans chosen by the caller instead of a data set's; None for those of ``dataset``.
        precisions: precisions of the models to write: "int8" and "fp32", which is always written. Where this machine
            computes in bfloat16, the bf16 variants of these models are measured and offered too; they need no files.
        patches: number of calibration patches.
        overlap: recommended overlap of windows, 0 ≤ overlap < 1; None for the default, 0.5.
        overlap_reason: how ``overlap`` was chosen, as free text.
        postprocessing: what the bundle removes from every label map, those of the gate cases too; None for nothing.
        licence: SPDX identifier, or another statement of the licence; None for the student's own.
        threads: CPU threads of the measurements; None for all.
        force: whether to replace an existing bundle.

    Raises:
        UsageError: an option has another type or is out of range, or options contradict each other.
    """

    dataset: str | os.PathLike[str] | None = None
    gate_cases: int = 1
    cases: ExportCases | None = None
    precisions: Sequence[str] = ("fp32", "int8")
    patches: int = 16
    overlap: float | None = None
    overlap_reason: str = "as given at export"
    postprocessing: Postprocessing | None = None
    licence: str | None = None
    threads: int | None = None
    force: bool = False

    def __post_init__(self) -> None:
        arguments.optional(arguments.path, "dataset", self.dataset)
        arguments.whole_number("gate_cases", self.gate_cases, 0)
        arguments.optional(arguments.instance, "cases", self.cases, ExportCases)
        arguments.names("precisions", checked_collection("precisions", self.precisions, "a list of names"))
        arguments.whole_number("patches", self.patches, 1)
        arguments.optional(arguments.overlap_share, "overlap", self.overlap)
        arguments.instance("overlap_reason", self.overlap_reason, str)
        arguments.optional(arguments.instance, "postprocessing", self.postprocessing, Postprocessing)
        arguments.optional(arguments.text, "licence", self.licence)
        arguments.optional(arguments.whole_number, "threads", self.threads, 1, arguments.MOST_THREADS)
        arguments.flag("force", self.force)
        self._check_precisions()
        if self.dataset is not None and self.cases is not None:
            raise UsageError("cases: expected None beside a dataset, got both; give one of them")

    def _check_precisions(self) -> None:
        unknown = [precision for precision in self.precisions if precision not in ("fp32", "int8")]
        if unknown or not self.precisions:
            raise UsageError(f"precision: expected fp32 or fp32,int8, got {', '.join(unknown) or 'none'}")
        if self.int8 and self.dataset is None and not (self.cases and self.cases.calibration):
            raise UsageError("int8 is calibrated on scans, got none; give --calibration DATASET, or --precision fp32")

    @property
    def int8(self) -> bool:
        """Whether an int8 model is written."""
        return "int8" in self.precisions

    @property
    def model_precisions(self) -> tuple[Precision, ...]:
        """Precisions of the models to write, fp32 first; the bf16 variants run the same files."""
        return ("fp32", "int8") if self.int8 else ("fp32",)

    def chosen_cases(self, task: Task) -> ExportCases:
        """Returns the caller's cases, or those of the data set for a task; without either there are none.

        Raises:
            InputError: the data set is refused, or its labels are not the task's.
        """
        if self.dataset is None:
            return self.cases or ExportCases()
        return ExportCases.of_dataset(Path(self.dataset), task, self.gate_cases)
