"""Compares methods of segmenting a scan: runs them one after the other, each in a process of its own."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from job import BedsideJob, Job, MonaiJob, NnunetJob, Outcome, run
from label_agreement import Agreement

if TYPE_CHECKING:
    from bedside.runtime import Task
    from numpy.typing import NDArray

OVERLAP = 0.5
PAPER_OVERLAP = 0.75  # AutoSAM Adapter, appendix 7.2
MONAI, MONAI_PAPER, NNUNET = "monai", "monai-paper", "nnunet"
AUTO, AUTO_SKIPPING_AIR = "auto", "auto-skip-air"


@dataclass(frozen=True)
class Row:
    """A method and its outcome; no agreement if its labels are the reference or are not compared."""

    method: str
    title: str
    outcome: Outcome
    agreement: Agreement | None = None


class Comparison:
    """Runs methods and collects their rows; MONAI's first labels are the reference of all others.

    Args:
        common: job of all methods; a method with its own overlap replaces that.
        task: the student's task, with the spacing and patch to run.
        student_run: run directory of the student.
        bundle: bundle exported from the student for this task.
        nnunet_python: interpreter that has nnunetv2; None leaves nnU-Net out.
        body: mask [X, Y, Z] of the voxels to compare.
        folder: folder for label maps.
    """

    def __init__(
        self,
        common: Job,
        task: Task,
        student_run: Path,
        bundle: Path,
        nnunet_python: Path | None,
        body: NDArray[np.bool_],
        folder: Path,
    ) -> None:
        self._common, self._task, self._student_run, self._bundle = common, task, student_run, bundle
        self._nnunet_python, self._body, self._folder = nnunet_python, body, folder
        self._reference: NDArray[np.integer] | None = None
        self.rows: list[Row] = []

    def run(self, method: str) -> None:
        """Runs a method and adds its row."""
        print(f"{method} …", file=sys.stderr, flush=True)
        if method == MONAI:
            self._monai()
        elif method == MONAI_PAPER:
            self._monai_paper()
        elif method == NNUNET:
            self._nnunet()
        else:
            self._bedside(method)

    def _monai(self) -> None:
        title = "MONAI sliding window, torch eager"
        self._add(MONAI, title if self._reference is None else f"{title}, again", "run_monai.py", self._monai_job())

    def _monai_paper(self) -> None:
        job = replace(self._monai_job(), overlap=PAPER_OVERLAP, repeats=1)
        self._add(MONAI_PAPER, f"MONAI, the paper's overlap {PAPER_OVERLAP}", "run_monai.py", job)

    def _monai_job(self) -> MonaiJob:
        task = self._task
        return MonaiJob(
            **vars(self._common), run=str(self._student_run), spacing=list(task.spacing), patch=list(task.patch)
        )

    def _bedside(self, method: str) -> None:
        skip_air = method == AUTO_SKIPPING_AIR
        engine, precision = ("auto", "auto") if method in (AUTO, AUTO_SKIPPING_AIR) else method.split("-", 1)
        job = BedsideJob(
            **vars(self._common), bundle=str(self._bundle), engine=engine, precision=precision, skip_air=skip_air
        )
        # The first start on a machine runs trials and compiles; a later start, the usual case, is measured.
        run("run_bedside.py", replace(job, repeats=0))
        ran = "bedside, auto: {taken}" if engine == "auto" else "bedside, {taken}"
        self._add(method, f"{ran}, air skipped" if skip_air else ran, "run_bedside.py", job)

    def _nnunet(self) -> None:
        task = self._task
        student = next(row.outcome.flops for row in self.rows if row.method == MONAI)
        job = NnunetJob(
            **vars(self._common),
            spacing=list(task.spacing[::-1]),
            patch=list(task.patch.dhw),
            classes=list(task.labels),
            clip=list(task.intensity.clip),
            flops=student or 0.0,
        )
        outcome = run("run_nnunet.py", job, str(self._nnunet_python))
        self.rows.append(Row(NNUNET, "nnU-Net's predictor, torch eager", outcome))

    def _add(self, method: str, title: str, script: str, job: Job) -> None:
        """Runs a method that writes labels, and compares them; ``{taken}`` in its title becomes `Outcome.taken`."""
        file = self._folder / "labels.npy"
        outcome = run(script, replace(job, labels=str(file)))
        title = title.format(taken=outcome.taken)
        labels = np.load(file)
        file.unlink()
        if self._reference is None:
            self._reference = labels
            self.rows.append(Row(method, title, outcome))
            return
        agreement = Agreement.of(labels, self._reference, self._body, self._task.labels)
        self.rows.append(Row(method, title, outcome, agreement))
