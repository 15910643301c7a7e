"""The segmenter: a bundle made ready on this machine, from a scan to a label map on the scan's own grid."""

from __future__ import annotations

import logging
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from .bundles.bundle import Bundle
from .choice.engine_choice import Choice, open_for_bundle
from .engines import Engine
from .errors import UsageError
from .labels.postprocess import Postprocessing, emptied, postprocess
from .result import Result, label_volumes
from .scan_run import ScanRun
from .scans.geometry import Grid
from .scans.scan import Scan
from .scans.volume import Volume
from .stopwatch import Stopwatch
from .task import Task
from .way import choose_way
from .windows.window_run import Cancel, Progress, stop_if

_log = logging.getLogger("bedside.segmenter")

STAGES = ("read", "preprocess", "plan", "infer", "blend", "restore")


class Segmenter:
    """Segments scans with one bundle on one engine; a context manager and safe to share between threads.

    Made by `load`. Nothing of a scan is kept after its call returns.
    """

    def __init__(self, bundle: Bundle, engine: Engine, choice: Choice, memory_limit: int | None = None) -> None:
        self._bundle = bundle
        self._engine = engine
        self._choice = choice
        self._memory_limit = memory_limit

    @classmethod
    def load(
        cls,
        path: str | Path,
        engine: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        memory_limit: int | None = None,
        self_test: bool = True,
    ) -> Segmenter:
        """Verifies a bundle, opens its model and checks on a golden patch that this machine computes the same.

        Args:
            path: bundle directory or zip.
            engine: ``"openvino"``, ``"onnxruntime"``, or ``"auto"``, which takes the faster one on this machine.
            precision: ``"fp32"``, ``"bf16"``, ``"int8"``, ``"int8-bf16"``, or ``"auto"``, which takes the fastest on
                this machine of those that passed the bundle's gate. That is safe because the gate holds every class
                apart to fp32's accuracy: what loses an organ, or was never measured, is not taken.
            threads: CPU threads; None uses all this process may use.
            memory_limit: bytes this process may hold; a scan predicted to need more is refused before it starts.
            self_test: compare with the golden patch; False is for tools that measure the very difference.

        Raises:
            BundleError: the bundle is not intact, has no such model, or fails the self-test.
            UsageError: unknown engine or precision, or the engine is not installed.
            ResourceError: no room for the model or to unpack a zip.
        """
        bundle = Bundle.open(path)
        try:
            opened = open_for_bundle(bundle, engine, precision, threads, memory_limit, self_test)
        except BaseException:
            bundle.close()
            raise
        _log.info("%s %s opened for task %s", opened.engine.name, opened.engine.precision, bundle.task.name)
        return cls(bundle, opened.engine, opened.choice, memory_limit)

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the engine and removes the temporary folder of a zipped bundle; may be called twice."""
        self._engine.close()
        self._bundle.close()

    @property
    def task(self) -> Task:
        """The bundle's task."""
        return self._bundle.task

    @property
    def bundle(self) -> Bundle:
        """The bundle."""
        return self._bundle

    @property
    def engine(self) -> Engine:
        """The engine that runs the model."""
        return self._engine

    @property
    def choice(self) -> Choice:
        """Engine, precision and streams that run the model, and why these."""
        return self._choice

    def segment(
        self,
        scan: str | Path | Volume,
        overlap: float | None = None,
        skip_air: bool = True,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        *,
        volume: int | None = None,
        replace_nan: float | None = None,
        prefer: Literal["sform", "qform"] | None = None,
        postprocessing: Postprocessing | None = None,
    ) -> Result:
        """Segments one scan.

        Args:
            scan: NIfTI file, or a volume in memory.
            overlap: of windows, 0 ≤ overlap < 1; None takes the one the bundle recommends.
            skip_air: leave out windows without body; their voxels become background.
            progress: called with (windows done, windows in all), from the thread that runs.
            cancel: asked before every window and stage.
            volume: which volume of a 4D file, from 0.
            replace_nan: put in place of NaN and infinity, which are refused otherwise.
            prefer: which geometry to believe where sform and qform disagree.
            postprocessing: what to remove from the label map; None takes what the bundle says, `Postprocessing()`
                removes nothing.

        Raises:
            InputError: the scan is refused.
            ResourceError: the predicted memory is above the limit, or the engine failed.
            Cancelled: ``cancel()`` returned true.
            UsageError: an argument is out of range, a label is not the task's, or the segmenter is closed.
        """
        asked = self._bundle.manifest.postprocessing if postprocessing is None else postprocessing
        asked = asked.checked(self.task.labels)
        watch = Stopwatch(STAGES)
        stop_if(cancel)
        with watch.stage("read"):
            if isinstance(scan, Volume):
                if volume is not None or prefer is not None:
                    raise UsageError("volume and prefer choose within a file; this scan is already in memory")
                source = Scan(scan, replace_nan)
            else:
                source = Scan.open(scan, volume=volume, replace_nan=replace_nan, prefer=prefer)
        with watch.stage("plan"):
            overlap = self._bundle.manifest.recommended_overlap if overlap is None else overlap
            grid = source.grid.to_task_grid(self.task.orientation, self.task.spacing)
            keep_body = asked.within_body
            way = choose_way(source, self.task, grid, self._engine, overlap, self._memory_limit, keep_body)
        reading = "read as the windows move" if way.streamed else "prepared whole"
        _log.debug("%r, for the model %r: %d windows, %s", source.grid, grid, len(way.plan), reading)
        work = ScanRun(self._engine, self.task, source, grid, way, watch, progress, cancel, keep_body)
        labels = work.labels(skip_air)
        with watch.stage("restore"):
            removed = postprocess(labels, self.task.labels, source.grid, asked, work.body)
            volumes = label_volumes(labels, self.task.labels, source.grid)
        empty = () if labels.any() else ("the result is empty: no voxel was labelled",)
        seconds = sum(watch.milliseconds.values()) / 1000
        _log.info("%r: %d windows, %d of air, %.2f s", source.grid, work.computed, work.skipped, seconds)
        _log.debug("milliseconds: %s", ", ".join(f"{stage} {spent:.0f}" for stage, spent in watch.milliseconds.items()))
        return Result(
            labels=labels,
            grid=source.grid,
            volumes_ml=volumes,
            timings=watch.milliseconds,
            warnings=tuple(dict.fromkeys((*work.warnings, *emptied(removed, volumes), *empty))),
            engine=self._engine.name,
            precision=self._engine.precision,
            windows=work.computed,
            windows_skipped=work.skipped,
            postprocessing=removed,
        )

    def segment_array(
        self,
        hu: ArrayLike,
        affine: ArrayLike,
        overlap: float | None = None,
        skip_air: bool = True,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        *,
        replace_nan: float | None = None,
        postprocessing: Postprocessing | None = None,
    ) -> Result:
        """Segments a scan that is in memory; for embedding without files.

        Args:
            hu: [X, Y, Z] raw intensities (HU for CT), integers or floats.
            affine: 4×4, voxel → RAS+ mm.
            overlap: as in `segment`.
            skip_air: as in `segment`.
            progress: as in `segment`.
            cancel: as in `segment`.
            replace_nan: as in `segment`.
            postprocessing: as in `segment`.

        Raises:
            InputError: not a 3D array with a valid affine and finite values.
        """
        data = np.asarray(hu)
        scan = Volume(data, Grid(data.shape, affine))
        return self.segment(
            scan, overlap, skip_air, progress, cancel, replace_nan=replace_nan, postprocessing=postprocessing
        )
