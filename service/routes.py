"""The table of the API: each row is a path, what answers it, and what the OpenAPI description says of it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from .answers import JobAnswer, ResultAnswer, ServiceAnswer
from .api import BYTES, DICOM, GZIP
from .scan_options import ScanOptions

ROOT = "/api/v1"


@dataclass(frozen=True)
class Row:
    """One kind of request.

    Attributes:
        method: GET, POST or DELETE.
        path: below `ROOT`.
        name: name of the method of `Api` that answers it.
        summary: one sentence.
        status: of an answer that is no refusal.
        answer: the struct of its JSON, or the media type of its body; None for an empty one.
        refusals: statuses of refusals, besides those of every request.
        query: the struct of its query; None where it has none.
    """

    method: str
    path: str
    name: str
    summary: str
    status: int
    answer: type[msgspec.Struct] | str | None
    refusals: tuple[int, ...] = ()
    query: type[msgspec.Struct] | None = None


_JOB = "/jobs/{job}"

ROWS = (
    Row("GET", "", "service", "What runs here: bundles and limits.", 200, ServiceAnswer),
    Row(
        "POST", "/jobs", "create", "Accepts a scan as a job: NIfTI or a zip of DICOM files as the body.", 202,
        JobAnswer, (400, 408, 413, 415, 422, 501), ScanOptions,
    ),
    Row("GET", _JOB, "show", "How far a job is, and its outcome.", 200, JobAnswer, (404,)),
    Row("DELETE", _JOB, "remove", "Cancels a job and removes its files.", 204, None, (404,)),
    Row("GET", _JOB + "/events", "events", "The job as server-sent events: progress, then end.", 200,
        "text/event-stream", (404,)),
    Row("POST", _JOB + "/cancel", "cancel", "Cancels a job; a finished one stays.", 202, JobAnswer, (404,)),
    Row("GET", _JOB + "/labels", "labels", "The label map, NIfTI on the scan's own grid.", 200, GZIP, (404, 409)),
    Row("GET", _JOB + "/segmentation", "segmentation", "The DICOM segmentation of a DICOM series.", 200, DICOM,
        (404, 409)),
    Row("GET", _JOB + "/volumes", "volumes", "Volumes in ml, and warnings.", 200, ResultAnswer, (404, 409)),
    Row("GET", _JOB + "/scan", "scan", "The scan as NIfTI, a DICOM series too.", 200, BYTES, (404, 422)),
)  # fmt: skip
