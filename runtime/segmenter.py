"""The segmenter: a bundle opened on this machine, which turns scans into label maps on the scan's own grid."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import TypeAlias

from nibabel.nifti1 import Nifti1Pair
from numpy.typing import ArrayLike

from . import arguments
from .bundles.bundle import Bundle
from .bundles.trusted_keys import Trust
from .engine_selection.engine_choice import EngineChoice
from .engine_selection.engine_request import EngineRequest
from .engines import Engine, closed_on_error
from .errors import UsageError
from .execution_plan import ScanPlan
from .hooks import Cancel, Hooks, Progress
from .labels.postprocess import Postprocessing
from .memory.reservations import reservations
from .opened_model import OpenedModel
from .reserved_scan import ReservedScan
from .result import Result
from .scans.geometry import Grid
from .scans.nifti_header import Form
from .scans.nifti_image import ImageMemory
from .scans.scan_source import ScanSource
from .scans.volume import Volume, as_voxels
from .segmentation_options import SegmentationOptions
from .task import Task

Scannable: TypeAlias = str | os.PathLike[str] | Volume | Nifti1Pair | ScanSource

_IMAGE = "this image", "give the path of its file, which is read plane by plane"
_log = logging.getLogger("bedside.segmenter")


class Segmenter:
    """Segments scans with one bundle on one engine; a context manager and safe to share between threads.

    Create one with `load`. It keeps no data of a scan after the call returns.
    """

    def __init__(self, bundle: Bundle, model: OpenedModel) -> None:
        self._bundle = bundle
        self._model = model
        self._process = os.getpid()
        self._closed = False
        _log.info("%s %s opened for task %s", model.engine.name, model.engine.precision, bundle.task.name)

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        engine: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        memory_limit: int | None = None,
        self_test: bool = True,
        device: str = "auto",
        trust: Trust | None = None,
    ) -> Segmenter:
        """Verifies a bundle, opens its model and checks on the golden patch that this machine reproduces its results.

        Args:
            path: bundle directory or zip.
            engine: name of an engine (see `available_engines`), or ``"auto"`` for the fastest one on this machine.
            precision: ``"fp32"``, ``"fp16"``, ``"bf16"``, ``"int8"``, ``"uint8"``, ``"int8-fp16"``, ``"int8-bf16"``, or
                ``"auto"`` for the fastest of those that passed the bundle's gate, which compares every class with fp32.
            threads: number of CPU threads; None for all that this process may use.
            memory_limit: bytes this process may hold; None for all free memory. A scan predicted to need more is
                refused before it starts.
            self_test: whether to compare with the golden patch; False is for tools that measure that difference.
            device: ``"CPU"``, ``"GPU"``, ``"NPU"``, ``"CUDA"``, … as an engine names it (`bedside devices` lists them),
                or ``"auto"`` for the fastest one.
            trust: path of a public key or of a folder of keys, or several: one of them must have signed the bundle;
                None runs every bundle (see `Bundle.open`).

        Raises:
            BundleError: the bundle is damaged, not signed with a trusted key, has no such model, or fails the
                self-test.
            InputError: a key of ``trust`` is refused.
            MissingExtraError: ``trust`` is given, and `cryptography` is not installed.
            UsageError: an argument has the wrong type or is out of range, or the engine is not installed or has no such
                device.
            ResourceError: there is no memory for the model, or no disk space to unpack a zip.
        """
        asked = EngineRequest(
            engine=engine,
            precision=precision,
            device=device,
            threads=threads,
            memory_limit=memory_limit,
            self_test=self_test,
        )
        return cls.open(path, asked, trust)

    @classmethod
    def open(cls, path: str | os.PathLike[str], asked: EngineRequest, trust: Trust | None = None) -> Segmenter:
        """As `load`, with all that chooses and limits the engine in one object; raises what `load` raises."""
        asked = asked.checked()
        with closed_on_error(Bundle.open(path, trust)) as bundle:
            return cls(bundle, OpenedModel.open(bundle, asked))

    def __enter__(self) -> Segmenter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the engine and removes the temporary folder of a zipped bundle; may be called twice.

        Waits for windows that other threads are computing; their calls of `segment` then raise `UsageError`.
        """
        self._closed = True
        if os.getpid() == self._process:  # otherwise engine and folder belong to the parent process
            self._model.close()
            self._bundle.close()

    @property
    def task(self) -> Task:
        """The task of the bundle."""
        return self._bundle.task

    @property
    def bundle(self) -> Bundle:
        """The opened bundle."""
        return self._bundle

    @property
    def engine(self) -> Engine:
        """The engine that runs the model."""
        return self._model.engine

    @property
    def model(self) -> OpenedModel:
        """The opened networks."""
        return self._model

    @property
    def choice(self) -> EngineChoice:
        """Engine, precision and streams that run the model, and the reason for choosing them."""
        return self._model.choice

    def segment(
        self,
        scan: Scannable,
        overlap: float | None = None,
        skip_air: bool = True,
        progress: Progress | None = None,
        cancel: Cancel | None = None,
        *,
        volume: int | None = None,
        replace_nan: float | None = None,
        prefer: Form | None = None,
        postprocessing: Postprocessing | None = None,
        use_locator: bool = True,
    ) -> Result:
        """Segments one scan.

        Args:
            scan: path of a NIfTI file, a volume in memory, a nibabel NIfTI image, which is checked like a file, or a
                series that `bedside.dicom.open_series` opened.
            overlap: fraction of a window shared with the next, 0 ≤ overlap < 1; None for the one the bundle recommends.
            skip_air: whether to skip windows without body; their voxels become background.
            progress: called with (windows done, windows in total), from the thread that called `segment`; the locator's
                windows count too.
            cancel: called before every window and stage; returns true to stop.
            volume: index of the volume in a 4D file or image, from 0; None where it holds only one.
            replace_nan: value that replaces NaN and infinity; None refuses them.
            prefer: geometry to use where sform and qform disagree; None refuses such a scan.
            postprocessing: what to remove from the label map; None for the bundle's own steps, `Postprocessing()` for
                none.
            use_locator: whether the bundle's locator, if it has one, first finds the organs, so that windows without
                any are left out; their voxels become background.

        Raises:
            InputError: the scan is refused.
            ResourceError: the predicted memory is above the limit, memory ran out, or the engine failed.
            Cancelled: ``cancel()`` returned true.
            UsageError: an argument has the wrong type or is out of range, the task has no such label, or the segmenter
                is closed or was made before this process was forked.
        """
        options = SegmentationOptions(
            overlap=overlap,
            skip_air=skip_air,
            use_locator=use_locator,
            volume=volume,
            replace_nan=replace_nan,
            prefer=prefer,
            postprocessing=postprocessing,
        )
        arguments.optional(arguments.callback, "progress", progress, "done", "total")
        with self.reserve(scan, options, cancel=cancel) as reserved:
            return reserved.run(progress)

    @contextmanager
    def reserve(
        self,
        scan: Scannable,
        options: SegmentationOptions | None = None,
        *,
        cancel: Cancel | None = None,
        afterwards: int = 0,
    ) -> Generator[ReservedScan]:
        """Opens a scan and reserves its memory for the ``with`` block, in which `ReservedScan.run` segments it.

        For callers that accept scans before they segment them: what was accepted then has its memory.

        Args:
            scan: as in `segment`.
            options: how to segment it; None for all as the bundle says.
            cancel: as in `segment`.
            afterwards: bytes that the caller takes within the block beside the label map, once the scan is segmented.

        Raises:
            InputError: the scan is refused.
            ResourceError: the predicted memory is above the limit, or not free.
            Cancelled: ``cancel()`` returned true.
            UsageError: as in `segment`.
        """
        self.check_usable()
        options = SegmentationOptions() if options is None else options
        arguments.instance("options", options, SegmentationOptions)
        arguments.optional(arguments.callback, "cancel", cancel, does="that says whether to stop")
        afterwards = arguments.whole_number("afterwards", afterwards, 0)
        hooks = Hooks(None, cancel)
        image = ImageMemory.of(scan)
        with self._model.holding(image.held, *_IMAGE):
            with self._model.holding(image.reading, *_IMAGE):
                request = options.request(scan, self._bundle.manifest, hooks)
            locator = self._model.locator if options.use_locator else None

            def choose(reserved: int) -> ScanPlan:
                with hooks.stopwatch.stage("plan"):
                    return self._model.plan(request, locator, reserved, afterwards)

            hooks.stop_if_cancelled()  # the caller's code: never in `choose`, which runs under the reservations' lock
            with reservations().reserve(choose) as plan:
                hooks.stop_if_cancelled()  # it may have waited for another scan's plan
                yield ReservedScan(request, plan, self._model, locator, hooks, self.check_usable)

    def release_engines(self) -> None:
        """Frees the networks, which another process has opened and run: from then on scans are only reserved here."""
        self._model = self._model.released()

    def check_usable(self) -> None:
        """Raises UsageError if the segmenter is closed, or was made before this process was forked."""
        if self._closed:
            raise UsageError("the segmenter is closed; load the bundle again")
        if os.getpid() != self._process:
            raise UsageError("the segmenter was made before this process was forked; load the bundle after the fork")

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
        use_locator: bool = True,
    ) -> Result:
        """Segments a scan in memory, for embedding without files.

        Args:
            hu: [X, Y, Z] raw intensities (HU for CT), integers or floats; an array, or anything NumPy converts to one.
            affine: 4×4 matrix, voxel → RAS+ mm.
            overlap: as in `segment`.
            skip_air: as in `segment`.
            progress: as in `segment`.
            cancel: as in `segment`.
            replace_nan: as in `segment`.
            postprocessing: as in `segment`.
            use_locator: as in `segment`.

        Raises:
            InputError: the scan is not a 3D array of finite values with a valid affine, or is partly masked.
            UsageError: another argument has the wrong type or is out of range.
        """
        data = as_voxels("hu", hu)
        return self.segment(
            Volume(data, Grid(data.shape, affine)),
            overlap,
            skip_air,
            progress,
            cancel,
            replace_nan=replace_nan,
            postprocessing=postprocessing,
            use_locator=use_locator,
        )
