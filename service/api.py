"""The requests of the API, and what they do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse

from .. import __version__
from ..runtime.errors import ExitCode
from .answers import ServiceAnswer
from .events import job_events
from .file_answer import FileAnswer
from .intake import UPLOAD, convert, nifti_path, take_in
from .job import GONE, Job
from .jobs import Jobs
from .json_answer import json_response
from .page_files import has_viewer
from .refusal import RefusedError, busy
from .scan_options import ScanOptions
from .segmenting import LABELS, SEGMENTATION
from .served_bundle import ServedBundle
from .settings import Settings
from .upload import declared_bytes, receive
from .worker import Worker

NOTICE = "Research software; not a medical device."
BYTES, GZIP, DICOM = "application/octet-stream", "application/gzip", "application/dicom"
UPLOADS = (BYTES, GZIP, "application/x-gzip", "application/zip", DICOM)
_ACCEPTED = 202


class Api:
    """Answers requests.

    Args:
        bundles: the bundles, the default first.
        jobs: the jobs.
        worker: the worker.
        settings: the limits.
        is_closing: whether the service ends.
    """

    def __init__(
        self,
        bundles: Sequence[ServedBundle],
        jobs: Jobs,
        worker: Worker,
        settings: Settings,
        is_closing: Callable[[], bool],
    ) -> None:
        self._bundles = {bundle.name: bundle for bundle in bundles}
        self._jobs, self._worker, self._settings, self._is_closing = jobs, worker, settings, is_closing
        # One scan at a time each: the few threads of asyncio also write uploads and remove jobs.
        self._opening, self._converting = asyncio.Semaphore(1), asyncio.Semaphore(1)

    async def service(self, request: Request) -> Response:
        """Tells what runs here."""
        return json_response(
            ServiceAnswer(
                version=__version__,
                notice=NOTICE,
                bundles=[bundle.answer() for bundle in self._bundles.values()],
                upload_bytes=self._settings.upload_bytes,
                waiting=self._jobs.waiting,
                most_waiting=self._settings.waiting,
                viewer=has_viewer(),
            )
        )

    async def create(self, request: Request) -> Response:
        """Receives a scan and accepts it as a job, or refuses it."""
        options, bundle = self._asked(request)
        if self._is_closing():
            raise busy("the service ends")
        job = self._jobs.open(bundle, declared_bytes(request.headers.get("content-length"), self._settings))
        try:
            await receive(request.stream(), job.folder / UPLOAD, self._settings)
            async with self._opening:
                await asyncio.to_thread(take_in, job, options, self._settings)
            if await request.is_disconnected():  # nobody would learn the job's id
                raise ClientDisconnect
        except ClientDisconnect:
            await asyncio.to_thread(self._jobs.drop, job)
            return Response(status_code=400)  # nobody is there to read it
        except BaseException:
            await asyncio.to_thread(self._jobs.drop, job)
            raise
        self._jobs.add(job)
        self._worker.put(job)
        return json_response(self._answer(job), _ACCEPTED, {"Location": f"/api/v1/jobs/{job.name}"})

    async def show(self, request: Request) -> Response:
        """Tells how far a job is."""
        return json_response(self._answer(self._job(request)))

    async def events(self, request: Request) -> Response:
        """Tells each step of a job as it happens."""
        job = self._job(request)
        return StreamingResponse(
            job_events(job, self._settings.keep_seconds, self._is_closing), media_type="text/event-stream"
        )

    async def cancel(self, request: Request) -> Response:
        """Cancels a job; what is finished stays."""
        job = self._job(request)
        job.cancel()
        return json_response(self._answer(job), _ACCEPTED)

    async def remove(self, request: Request) -> Response:
        """Cancels a job and removes its files."""
        await asyncio.to_thread(self._jobs.remove, self._job(request))
        return Response(status_code=204)

    async def labels(self, request: Request) -> Response:
        """Sends the label map."""
        return _file(self._done(request), LABELS, GZIP)

    async def segmentation(self, request: Request) -> Response:
        """Sends the DICOM segmentation."""
        job = self._done(request)
        if isinstance(job.scan, Path):
            raise RefusedError(
                404, "the scan is no DICOM series, so it has no DICOM segmentation; fetch its labels", ExitCode.USAGE
            )
        if job.result is not None and not job.result.segmentation:
            raise RefusedError(
                404,
                "the DICOM segmentation of this series could not be written; the warnings of the job say why",
                ExitCode.USAGE,
            )
        return _file(job, SEGMENTATION, DICOM)

    async def volumes(self, request: Request) -> Response:
        """Tells volumes and warnings."""
        return json_response(self._done(request).result)

    async def scan(self, request: Request) -> Response:
        """Sends the scan as NIfTI, a DICOM series too."""
        job, gone = self._job(request), RefusedError(404, GONE, ExitCode.USAGE)
        try:
            path = nifti_path(job)
            if not path.is_file():
                async with self._converting:
                    await asyncio.to_thread(convert, job)
        except Exception as error:
            raise gone if job.state == "cancelled" else error from None  # its files go while they are read
        if job.state == "cancelled" or not path.is_file():
            raise gone
        return FileAnswer(path, BYTES, "scan" + "".join(path.suffixes))

    def _asked(self, request: Request) -> tuple[ScanOptions, ServedBundle]:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in UPLOADS:
            # A form of another web page can send other types without asking first.
            raise RefusedError(415, f"Content-Type: expected one of {', '.join(UPLOADS)}", ExitCode.USAGE)
        given: dict[str, Any] = dict(request.query_params)
        if len(given) < len(request.query_params.multi_items()):
            raise RefusedError(400, "a parameter of the query is there twice", ExitCode.USAGE)
        try:
            options = msgspec.convert(given, ScanOptions, strict=False)
        except msgspec.ValidationError as error:
            raise RefusedError(400, f"query: {str(error)[:200]}".replace("`", ""), ExitCode.USAGE) from None
        name = options.bundle if options.bundle is not None else next(iter(self._bundles))
        if name not in self._bundles:
            raise RefusedError(400, f"bundle: expected one of {', '.join(self._bundles)}", ExitCode.USAGE)
        return options, self._bundles[name]

    def _job(self, request: Request) -> Job:
        return self._jobs.find(request.path_params["job"])

    def _answer(self, job: Job) -> Any:
        return job.answer(self._settings.keep_seconds)

    def _done(self, request: Request) -> Job:
        """Returns the job of a request for its results.

        Raises:
            RefusedError: there is no such job, or it is not done.
        """
        job = self._job(request)
        if job.state != "done":
            raise RefusedError(409, f"the job is {job.state}; its results are there when it is done", ExitCode.USAGE)
        return job


def _file(job: Job, name: str, media_type: str) -> FileAnswer:
    path = job.folder / name
    if not path.is_file():
        raise RefusedError(404, "the files of this job are no longer here; post the scan again", ExitCode.USAGE)
    return FileAnswer(path, media_type, name)
