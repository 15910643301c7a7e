"""Runs a bundle on a scan: without torch, in bounded memory, with verified input and output.

Example::

    from bedside.runtime import Segmenter

    with Segmenter.load("liver.bedside") as segmenter:
        segmenter.segment("ct.nii.gz").save("labels.nii.gz")

Names are imported on first use, so that importing this package stays cheap and loads no engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .lazy_names import lazy_names

if TYPE_CHECKING:
    from .axes import DHW as DHW
    from .axes import XYZ as XYZ
    from .bundles.bundle import Bundle as Bundle
    from .bundles.manifest import Manifest as Manifest
    from .bundles.manifest_writer import write_manifest as write_manifest
    from .bundles.signing import SigningKey as SigningKey
    from .bundles.signing import sign_bundle as sign_bundle
    from .bundles.zip_writer import zip_bundle as zip_bundle
    from .engine_selection.engine_choice import EngineChoice as EngineChoice
    from .engines import Engine as Engine
    from .engines import available_engines as available_engines
    from .engines import open_engine as open_engine
    from .errors import BedsideError as BedsideError
    from .errors import BundleError as BundleError
    from .errors import Cancelled as Cancelled
    from .errors import ExitCode as ExitCode
    from .errors import InputError as InputError
    from .errors import MissingExtraError as MissingExtraError
    from .errors import ResourceError as ResourceError
    from .errors import UsageError as UsageError
    from .labels.postprocess import Postprocessing as Postprocessing
    from .labels.postprocess import Removal as Removal
    from .result import Result as Result
    from .scans.geometry import Grid as Grid
    from .scans.nifti import read_labels as read_labels
    from .scans.nifti import read_volume as read_volume
    from .scans.nifti import write_volume as write_volume
    from .scans.volume import Volume as Volume
    from .segmentation_options import SegmentationOptions as SegmentationOptions
    from .segmenter import Segmenter as Segmenter
    from .task import Task as Task
    from .task_presets import load_task as load_task

_HOME = {
    "DHW": "axes",
    "XYZ": "axes",
    "Removal": "labels.postprocess",
    "BedsideError": "errors",
    "Bundle": "bundles.bundle",
    "BundleError": "errors",
    "Cancelled": "errors",
    "Engine": "engines",
    "EngineChoice": "engine_selection.engine_choice",
    "ExitCode": "errors",
    "Grid": "scans.geometry",
    "InputError": "errors",
    "Manifest": "bundles.manifest",
    "MissingExtraError": "errors",
    "Postprocessing": "labels.postprocess",
    "ResourceError": "errors",
    "Result": "result",
    "SegmentationOptions": "segmentation_options",
    "Segmenter": "segmenter",
    "SigningKey": "bundles.signing",
    "Task": "task",
    "UsageError": "errors",
    "Volume": "scans.volume",
    "available_engines": "engines",
    "load_task": "task_presets",
    "open_engine": "engines",
    "read_labels": "scans.nifti",
    "read_volume": "scans.nifti",
    "sign_bundle": "bundles.signing",
    "write_manifest": "bundles.manifest_writer",
    "write_volume": "scans.nifti",
    "zip_bundle": "bundles.zip_writer",
}

__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


__getattr__ = lazy_names(globals(), _HOME)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
