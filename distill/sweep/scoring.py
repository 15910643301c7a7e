"""Scores the runs of a sweep on held-out cases, as `bedside evaluate` would score their label maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import torch

from ...runtime.engines import default_threads
from ...runtime.errors import InputError
from ...runtime.files.atomic import atomic_write
from ...runtime.files.hashing import file_sha256
from ...runtime.hooks import Progress
from ...runtime.scans.nifti import write_volume
from ...training.data.case_digest import data_hash, digest_cases
from ...training.data.dataset import Case
from ...training.loop.validate import segment_scan
from ...training.runs.run import Run
from ...training.scores.evaluation import Evaluation
from ...training.scores.metrics import DEFAULT_TOLERANCE_MM
from ...training.scores.pairing import Pair
from ...training.scores.score_table import ScoreTable, read_scores, write_scores
from ...training.scores.scored_case import ScoredCase, score_pair
from ..trained import load_student

SCORES = "scores.csv"
ORIGIN = "scores.json"
OVERLAP = 0.5


class _Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What determines the scores of a run; stored beside them.

    Attributes:
        weights: SHA-256 of the weights file.
        cases: SHA-256 over the content of the cases.
        names: names of the cases, in order; the scores have them.
        overlap: overlap of neighbouring windows, as a fraction of a window.
        tolerance_mm: tolerance of the NSD in mm.
    """

    weights: str
    cases: str
    names: tuple[str, ...]
    overlap: float = OVERLAP
    tolerance_mm: float = DEFAULT_TOLERANCE_MM


@dataclass(frozen=True)
class RunScorer:
    """Scores runs on the same cases.

    Attributes:
        cases: cases with labels.
        data: SHA-256 over their content.
        images: SHA-256 of each image file.
        device: device of the network.
    """

    cases: tuple[Case, ...]
    data: str
    images: frozenset[str]
    device: torch.device

    @classmethod
    def of(cls, cases: tuple[Case, ...], device: torch.device) -> RunScorer:
        """Reads the files of the cases once, for their hash.

        Raises:
            InputError: a file cannot be read.
        """
        digests = digest_cases(cases, default_threads())
        return cls(cases, data_hash(cases, digests), frozenset(digest.image for digest in digests), device)

    def scores(self, path: Path, progress: Progress | None = None) -> ScoreTable:
        """Returns the scores of a run's best weights, and stores them in the run directory.

        The student segments each scan on the scan's own grid, as the runtime does. Stored scores are returned if
        neither the weights nor the cases, nor their names, have changed since.

        Args:
            path: run directory of a student.
            progress: called with (cases done, cases in total) for each case that is segmented.

        Raises:
            InputError: the directory holds no trained student, a scan or label map cannot be used, or no case has an
                organ.
            ResourceError: the scores cannot be written.
        """
        names = tuple(sorted(case.name for case in self.cases))
        origin = msgspec.json.encode(_Origin(weights=file_sha256(Run.open(path).best), cases=self.data, names=names))
        if not _is_stored(path, origin):
            evaluation = self._evaluated(path, progress)
            (path / ORIGIN).unlink(missing_ok=True)  # what says of other scores that they are stored
            write_scores(path / SCORES, evaluation)
            with atomic_write(path / ORIGIN) as temporary:
                temporary.write_bytes(origin)
        return read_scores(path / SCORES)

    def _evaluated(self, path: Path, progress: Progress | None) -> Evaluation:
        student = load_student(path)
        model, task = student.model.to(self.device), student.task
        scored: list[ScoredCase] = []
        with TemporaryDirectory(prefix="bedside-") as folder:
            for case in self.cases:
                if case.label is None:
                    raise InputError(f'case "{case.name}": expected a label map to score against, found none')
                labels, grid = segment_scan(model, case.image, task, overlap=OVERLAP, device=self.device)
                file = Path(folder) / f"{len(scored)}.nii.gz"
                write_volume(file, labels, grid)
                pair = Pair(case.name, file, case.label, case.ignore)
                scored.append(score_pair(pair, task.labels, DEFAULT_TOLERANCE_MM))
                file.unlink()
                if progress:
                    progress(len(scored), len(self.cases))
        return Evaluation.of(scored, task.labels, DEFAULT_TOLERANCE_MM)


def _is_stored(path: Path, origin: bytes) -> bool:
    stored = path / ORIGIN
    return stored.exists() and (path / SCORES).exists() and stored.read_bytes() == origin
