"""A service that answers as a script says: what a real one does seldom, such as ending within an answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

LABELS = b"the label map" * 1000
RESULT = {"volumes_ml": {"bone": 0.729}, "warnings": ["the result is empty"]}
RUNNING: dict[str, Any] = {
    "id": "job", "state": "running", "done": 1, "total": 2, "code": None, "error": None, "result": None
}  # fmt: skip
DONE: dict[str, Any] = {**RUNNING, "state": "done", "done": 2, "code": 0, "result": RESULT}


@dataclass(frozen=True)
class Script:
    """What the service does.

    Attributes:
        refusals: how many posts are answered with 503 before one is accepted.
        end: the last event of the job; None where the stream ends without one.
        cut_bytes: bytes that are missing at the end of the label map.
        stalls: whether it reads nothing of the uploads.
    """

    refusals: int = 0
    end: dict[str, Any] | None = field(default_factory=lambda: DONE)
    cut_bytes: int = 0
    stalls: bool = False


def to_json(content: object) -> bytes:
    """JSON as the real service writes it, without spaces."""
    return json.dumps(content, separators=(",", ":")).encode()


@dataclass
class Asked:
    """Where the service is, and what it was asked, in order."""

    base_url: str
    asked: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def volumes(self) -> list[str]:
        """The requests for volumes; a host may read them from the last event in place of asking."""
        return [each for each in self.asked if each == "GET volumes"]


@contextmanager
def scripted_service(script: Script) -> Iterator[Asked]:
    """Runs such a service until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked.asked.append("POST")
            if script.stalls:
                self.close_connection = True
                ended.wait()
                return
            asked.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            if len(asked.bodies) <= script.refusals:
                refusal = {"error": {"code": 5, "message": "no place"}}
                self._answer(503, to_json(refusal), **{"Retry-After": "0"})
            else:
                self._answer(202, to_json({**RUNNING, "state": "queued"}))

        def do_GET(self) -> None:
            part = self.path.rpartition("/")[2]
            asked.asked.append(f"GET {part}")
            if part == "events":
                events = [RUNNING] if script.end is None else [RUNNING, script.end]
                self._answer(200, b"".join(b"data: " + to_json(each) + b"\n\n" for each in events))
            elif part == "labels":
                self._answer(200, LABELS, cut_bytes=script.cut_bytes)
            else:
                self._answer(200, to_json(RESULT))

        def do_DELETE(self) -> None:
            asked.asked.append("DELETE")
            self._answer(204, b"")

        def _answer(self, status: int, body: bytes, cut_bytes: int = 0, **headers: str) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[: len(body) - cut_bytes])
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        ended = threading.Event()
        asked = Asked(f"http://127.0.0.1:{server.server_address[1]}/")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield asked
        finally:
            ended.set()
            server.shutdown()
            thread.join()
