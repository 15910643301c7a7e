"""The segmenter: a bundle made ready on this machine, from a scan to a label map on the scan's own grid."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from .blend import blend
from .bundle import Bundle
from .engines import Engine, available_engines, open_engine
from .errors import BundleError, InputError, UsageError
from .geometry import Grid
from .nifti import read_volume
from .peak_memory import refuse_above
from .preprocess import LabelRestorer, to_model_input
from .result import Result, label_volumes
from .self_test import check_golden, warm_up
from .stopwatch import Stopwatch
from .task import Task
from .volume import Volume
from .window_run import Cancel, Progress, WindowRun, stop_if
from .windows import plan_windows

STAGES = ("read", "preprocess", "plan", "infer", "blend", "restore")


class Segmenter:
    """Segments scans with one bundle on one engine; a context manager and safe to share between threads.

    Made by `load`. Nothing of a scan is kept after its call returns.
    """

    def __init__(self, bundle: Bundle, engine: Engine, memory_limit: int | None = None) -> None:
        self._bundle = bundle
        self._engine = engine
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
            engine: ``"auto"`` takes openvino where it is installed, else onnxruntime.
            precision: ``"fp32"``, ``"int8"``, or ``"auto"``, which is fp32: whether int8 is faster depends on the
                machine (with ONNX Runtime it was 2.7 times slower on the CPU we measured), and losing accuracy should
                be somebody's decision. ``bedside benchmark`` tells both.
            threads: CPU threads; None uses all this process may use.
            memory_limit: bytes this process may hold; a scan predicted to need more is refused before it starts.
            self_test: compare with the golden patch; False is for tools that measure the very difference.

        Raises:
            BundleError: the bundle is not intact, has no such model, or fails the self-test.
            UsageError: unknown engine or precision, or the engine is not installed.
            ResourceError: no room for the model or to unpack a zip.
        """
        if precision not in ("auto", "fp32", "int8"):
            raise UsageError(f'precision: expected auto, fp32 or int8, got "{precision}"')
        bundle = Bundle.open(path)
        try:
            opened = _open(bundle, engine, "fp32" if precision == "auto" else precision, threads, self_test)
        except BaseException:
            bundle.close()
            raise
        return cls(bundle, opened, memory_limit)

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

        Raises:
            InputError: the scan is refused.
            ResourceError: the predicted memory is above the limit, or the engine failed.
            Cancelled: ``cancel()`` returned true.
            UsageError: an argument is out of range, or the segmenter is closed.
        """
        watch = Stopwatch(STAGES)
        stop_if(cancel)
        with watch.stage("read"):
            if not isinstance(scan, Volume):
                scan = read_volume(scan, volume=volume, replace_nan=replace_nan, prefer=prefer)
            elif volume is not None or prefer is not None:
                raise UsageError("volume and prefer choose within a file; this scan is already in memory")
            else:
                scan = _finite(scan, replace_nan)
        refuse_above(self._memory_limit, scan.grid, self.task)
        stop_if(cancel)
        with watch.stage("preprocess"):
            prepared = to_model_input(scan, self.task)
        stop_if(cancel)
        with watch.stage("plan"):
            overlap = self._bundle.manifest.recommended_overlap if overlap is None else overlap
            depth, height, width = prepared.array.shape
            body = prepared.body if skip_air else None
            plan = plan_windows((depth, height, width), self._engine.patch_dhw, overlap, body)
            # The padding is air, as around the body in training: 0 for tasks scaled to 0…1 (MONAI pads with 0), and not
            # the tissue that 0 stands for in the others.
            array = plan.pad(prepared.array, self.task.intensity.air).astype(np.float32, copy=False)
        run = WindowRun(self._engine, plan, array, watch, progress, cancel)
        restorer = LabelRestorer(self.task.num_classes, prepared.grid, prepared.source)
        with watch.stage("blend"):
            for slab in blend(plan, run.windows(), self.task.num_classes):
                with watch.stage("restore"):
                    for plane in range(slab.scores.shape[1]):
                        restorer.add(slab.scores[:, plane])
        stop_if(cancel)
        with watch.stage("restore"):
            labels = restorer.labels()
            volumes = label_volumes(labels, self.task.labels, scan.grid)
        empty = () if labels.any() else ("the result is empty: no voxel was labelled",)
        return Result(
            labels=labels,
            grid=scan.grid,
            volumes_ml=volumes,
            timings=watch.milliseconds,
            warnings=tuple(dict.fromkeys((*prepared.warnings, *run.warnings(), *empty))),
            engine=self._engine.name,
            precision=self._engine.precision,
            windows=len(plan.starts),
            windows_skipped=plan.skipped,
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

        Raises:
            InputError: not a 3D array with a valid affine and finite values.
        """
        data = np.asarray(hu)
        scan = Volume(data, Grid(data.shape, affine))
        return self.segment(scan, overlap, skip_air, progress, cancel, replace_nan=replace_nan)


def _open(bundle: Bundle, name: str, precision: str, threads: int | None, self_test: bool) -> Engine:
    if name == "auto":
        installed = available_engines()
        if not installed:
            raise UsageError("no engine is installed; run: pip install onnxruntime")
        name = installed[0]
    variant = bundle.variant(name, precision)
    engine = open_engine(name, bundle.file(variant.file), threads=threads, precision=precision)
    try:
        task = bundle.task
        if engine.patch_dhw != task.patch_dhw or engine.num_classes != task.num_classes:
            raise BundleError(
                f"{variant.file}: window {engine.patch_dhw} and {engine.num_classes} classes do not fit the task's "
                f"{task.patch_dhw} and {task.num_classes}; export the bundle again"
            )
        if self_test:
            check_golden(bundle, engine, variant)
        else:
            warm_up(engine)
    except BaseException:
        engine.close()
        raise
    return engine


def _finite(scan: Volume, replace_nan: float | None) -> Volume:
    """Treats a volume in memory as `read_volume` treats a file: NaN and infinity are refused, or replaced and told."""
    data = scan.data
    if data.dtype.kind != "f" or data.size == 0 or (np.isfinite(data.min()) and np.isfinite(data.max())):
        return scan
    bad = ~np.isfinite(data)
    count = int(np.count_nonzero(bad))
    if replace_nan is None:
        raise InputError(
            f"expected finite values, got {count:,} voxels that are NaN or Inf; repair, or set replace_nan"
        )
    if not np.isfinite(replace_nan):
        raise UsageError(f"replace_nan: expected a finite number, got {replace_nan}")
    told = f"{count:,} voxels that were NaN or Inf replaced by {replace_nan:g}"
    return Volume(np.where(bad, data.dtype.type(replace_nan), data), scan.grid, (*scan.warnings, told))
