"""A file as an answer, whole or in the parts that the header Range asks for."""

from __future__ import annotations

from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from ..runtime.errors import ExitCode
from .json_answer import refusal_response
from .refusal import RefusedError

_REFUSALS = {
    400: "the header Range is not understood; expected bytes=FIRST-LAST",
    416: "the header Range names no byte of the file; ask for the whole file, or for bytes that it has",
}


class FileAnswer(FileResponse):
    """Sends a file; what `FileResponse` refuses in plain text is refused as everything else is.

    Args:
        path: the file.
        media_type: its media type.
        filename: the name under which clients save it.
    """

    def __init__(self, path: Path, media_type: str, filename: str) -> None:
        super().__init__(path, media_type=media_type, filename=filename)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        refused, size = 0, ""

        async def send_unless_refused(message: Message) -> None:
            nonlocal refused, size
            if message["type"] == "http.response.start" and message["status"] in _REFUSALS:
                refused = message["status"]
                size = Headers(raw=message["headers"]).get("Content-Range", "").rpartition("/")[2]
            if not refused:
                await send(message)

        await super().__call__(scope, receive, send_unless_refused)
        if refused:
            response = refusal_response(RefusedError(refused, _REFUSALS[refused], ExitCode.USAGE))
            if refused == 416:
                response.headers["Content-Range"] = f"bytes */{size}"
            await response(scope, receive, send)
