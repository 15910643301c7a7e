"""What the service answers, as structs: they are written as JSON, and the OpenAPI description is made of them."""

from __future__ import annotations

from typing import Literal

import msgspec

from .refusal import Failure

State = Literal["queued", "running", "done", "failed", "cancelled"]


class BundleAnswer(msgspec.Struct, frozen=True):
    """A bundle that the service runs.

    Attributes:
        name: what requests call it.
        task: name of its task.
        modality: CT or MR.
        labels: label names by index, the background first.
        sha256: hash of the bundle.
        engine: engine that runs it.
        precision: precision that runs.
        device: device that the engine runs on.
        intended_use: in words.
    """

    name: str
    task: str
    modality: str
    labels: list[str]
    sha256: str
    engine: str
    precision: str
    device: str
    intended_use: str


class ServiceAnswer(msgspec.Struct, frozen=True):
    """The service and what it takes.

    Attributes:
        version: of bedside.
        notice: what this software is not.
        bundles: the bundles, the first one is the default.
        upload_bytes: bytes that one upload may have.
        waiting: accepted jobs that are not finished.
        most_waiting: how many there may be.
        viewer: whether the page has its viewer.
    """

    version: str
    notice: str
    bundles: list[BundleAnswer]
    upload_bytes: int
    waiting: int
    most_waiting: int
    viewer: bool


class ResultAnswer(msgspec.Struct, frozen=True):
    """What a segmentation found.

    Attributes:
        volumes_ml: label name → millilitres.
        warnings: reasons for a person to look, one line each.
        notes: information that needs no action.
        needs_review: whether a person must look before use.
        shape: voxels along x, y, z.
        spacing: mm along x, y, z.
        engine: engine that ran.
        precision: precision that ran.
        device: device that the engine ran on.
        seconds: time that the segmentation took.
        segmentation: whether a DICOM segmentation can be fetched.
    """

    volumes_ml: dict[str, float]
    warnings: list[str]
    notes: list[str]
    needs_review: bool
    shape: list[int]
    spacing: list[float]
    engine: str
    precision: str
    device: str
    seconds: float
    segmentation: bool


class JobAnswer(msgspec.Struct, frozen=True):
    """A job: one scan through one bundle.

    Attributes:
        id: what requests call it; nobody can guess it.
        bundle: name of the bundle.
        state: queued, running, done, failed or cancelled.
        done: windows done.
        total: windows in total; 0 while it is queued.
        code: exit code that `bedside segment` would have; null until the job is finished.
        error: why it failed.
        result: what it found.
        seconds_left: after which a finished job's files are removed.
    """

    id: str
    bundle: str
    state: State
    done: int
    total: int
    code: int | None
    error: Failure | None
    result: ResultAnswer | None
    seconds_left: float | None
