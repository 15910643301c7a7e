"""The application: API, description and page, behind the guard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from ..runtime.errors import ExitCode
from .api import Api
from .guard import Guard
from .jobs import Jobs
from .json_answer import json_response, refusal_response
from .openapi import description
from .page_files import FOLDER
from .refusal import RefusedError
from .routes import ROOT, ROWS
from .settings import Settings
from .unread_body import DropUnread

_EXPIRE_SECONDS = 15.0


def application(api: Api, jobs: Jobs, settings: Settings, is_full: Callable[[], bool]) -> ASGIApp:
    """Returns the application.

    Args:
        api: what answers requests.
        jobs: whose old files are removed while it runs.
        settings: token and names.
        is_full: whether more connections are open than may be.
    """
    routes = [
        Route(ROOT + row.path, _answering(getattr(api, row.name)), methods=[row.method], name=row.name) for row in ROWS
    ]
    described, folder = description(), FOLDER

    async def openapi(request: Request) -> Response:
        return json_response(described)

    async def page(request: Request) -> Response:
        return FileResponse(folder / "index.html", headers={"Cache-Control": "no-cache"})

    @asynccontextmanager
    async def expiring(_: Starlette) -> AsyncGenerator[None]:
        async def expire() -> None:
            while True:
                await asyncio.sleep(_EXPIRE_SECONDS)
                await asyncio.to_thread(jobs.expire)

        task = asyncio.create_task(expire())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    app = Starlette(
        routes=[
            *routes,
            Route(f"{ROOT}/openapi.json", openapi),
            Route("/", page),
            Mount("/page", StaticFiles(directory=folder)),
        ],
        exception_handlers={HTTPException: _unserved},
        lifespan=expiring,
    )
    return DropUnread(Guard(app, settings, is_full), settings.unread_seconds)


def _answering(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # every error is an answer; those of no known kind are logged without values
            return refusal_response(RefusedError.of(error))

    return answer


async def _unserved(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    words = {404: "there is nothing at this path", 405: "this path does not take this method"}
    return refusal_response(RefusedError(status, words.get(status, "the request is not served"), ExitCode.USAGE))
