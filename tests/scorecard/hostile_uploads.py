"""Hostile requests to the service: each kind as bytes on the wire, and how it must end."""

from __future__ import annotations

import gzip
import io
import socket
import stat
import struct
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from ..service.running import scan_bytes, zip_bytes

TOKEN = "0123456789abcdef0123456789abcdef"
UPLOAD_BYTES, UNPACKED_BYTES, FILES, GRACE = 4 * 2**20, 8 * 2**20, 1000, 0.3
CLOSED = 0  # the connection ends without an answer
_LATE = 20.0  # seconds until a hostile client is rid of at the latest


@dataclass(frozen=True)
class Request:
    """What one hostile client sends.

    Attributes:
        sent: the bytes.
        statuses: HTTP statuses that refuse it; `CLOSED` where no answer is due.
        trickle: further bytes, one at a time, until the service ends the connection.
    """

    sent: bytes
    statuses: tuple[int, ...]
    trickle: bool = False


def post(body: bytes, *, length: object = None, token: str | None = TOKEN, **headers: str) -> bytes:
    """A POST request to `/api/v1/jobs`; keywords are headers, with ``_`` for ``-``."""
    lines = {"Host": "127.0.0.1", "Content-Type": "application/octet-stream"}
    if length is not False:
        lines["Content-Length"] = str(len(body) if length is None else length)
    if token is not None:
        lines["Authorization"] = f"Bearer {token}"
    lines |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /api/v1/jobs HTTP/1.1\r\n{head}\r\n".encode() + body


def answered(port: int, request: Request) -> int:
    """Sends a request over a connection of its own; returns the status, `CLOSED` where there is no answer."""
    end = time.monotonic() + _LATE
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(_LATE)
        try:
            client.sendall(request.sent)
            if request.trickle:
                client.settimeout(0.05)
                while time.monotonic() < end:
                    try:
                        start = client.recv(64)
                        break
                    except TimeoutError:
                        client.sendall(b"x")
                else:
                    raise AssertionError("a trickling client was still served after 20 s")
            else:
                if CLOSED in request.statuses:
                    client.shutdown(socket.SHUT_WR)
                start = client.recv(64)
        except TimeoutError:
            raise AssertionError("the service neither answered nor closed the connection within 20 s") from None
        except OSError:  # it was closed while this client still sent
            return CLOSED
    return int(start.split()[1]) if start.startswith(b"HTTP/1.1 ") else CLOSED


def _zip_bomb(random: Random) -> Request:
    sizes = random.choice([[UNPACKED_BYTES + 1], [2**20] * 9, [2**16] * 200])
    return Request(post(zip_bytes((f"{n}", bytes(size)) for n, size in enumerate(sizes))), (422,))


def _lying_zip(random: Random) -> Request:
    content = bytearray(zip_bytes({"a": bytes(random.randrange(2**16, 2**20))}))
    for signature, place in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", content, content.index(signature) + place, random.randrange(1, 2**16))
    return Request(post(bytes(content)), (422,))


def _shared_data(random: Random) -> Request:
    """Entries whose data are the same bytes of the zip."""
    with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0", bytes(2**20))
        first = archive.infolist()[0]
        for number in range(1, random.randrange(20, 200)):
            archive.filelist.append(info := zipfile.ZipInfo(str(number)))
            info.header_offset, info.CRC, info.compress_type = first.header_offset, first.CRC, first.compress_type
            info.compress_size, info.file_size = first.compress_size, first.file_size
    return Request(post(buffer.getvalue()), (422,))


def _slip(random: Random) -> Request:
    name = random.choice(["../x", "/etc/cron.d/x", "a/../../x", "..\\x", "C:\\x", "a\\..\\..\\x", "\\\\host\\x"])
    return Request(post(zip_bytes({"a.dcm": b"a", name: b"x"})), (422,))


def _link(random: Random) -> Request:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        info = zipfile.ZipInfo("a")
        info.external_attr = (random.choice([stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO]) | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    return Request(post(buffer.getvalue()), (422,))


def _many_parts(random: Random) -> Request:
    return Request(post(zip_bytes((f"{n:05d}.dcm", b"") for n in range(random.choice([1001, 10_000])))), (422,))


def _form_of_many_parts(random: Random) -> Request:
    part = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
    return Request(post(part * 10_000 + b"--b--", Content_Type="multipart/form-data; boundary=b"), (415,))


def _mutated_zip(random: Random) -> Request:
    content = bytearray(zip_bytes({"a": scan_bytes(), "b": b"x" * 999}))
    for _ in range(random.randrange(1, 6)):
        content[random.randrange(4, len(content))] = random.randrange(256)
    return Request(post(bytes(content)), (422,))  # sound or not, it holds no DICOM file


def _noise(random: Random) -> Request:
    start = random.choice([b"", b"PK\x03\x04", b"\x1f\x8b\x08", b"\x5c\x01\x00\x00", bytes(128) + b"DICM"])
    return Request(post(start + random.randbytes(random.randrange(1, 5000))), (422,))


def _gzip_bomb(random: Random) -> Request:
    header = bytearray(scan_bytes())[:352]
    struct.pack_into("<8h", header, 40, 3, 2000, 2000, 2000, 1, 1, 1, 1)
    return Request(post(gzip.compress(bytes(header) + bytes(2**24))), (422, 503))


def _too_large(random: Random) -> Request:
    length = random.choice([UPLOAD_BYTES + 1, 2**40, 10**17])
    return Request(post(b"x" * 100, length=length), (413,))


def _too_large_in_parts(random: Random) -> Request:
    part = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    return Request(post(part * 80 + b"0\r\n\r\n", length=False, Transfer_Encoding="chunked"), (413, CLOSED))


def _cut_off(random: Random) -> Request:
    return Request(post(scan_bytes()[: random.randrange(1, 4000)], length=5000), (CLOSED, 408, 400))


def _stalled(random: Random) -> Request:
    return Request(post(b"x", length=5000), (408,))


def _trickled(random: Random) -> Request:
    return Request(post(b"x", length=10**6), (408, CLOSED), trickle=True)


def _slow_header(random: Random) -> Request:
    whole = post(b"")
    return Request(whole[: random.randrange(0, len(whole) - 4)], (CLOSED, 400), trickle=True)


def _wrong_length(random: Random) -> Request:
    return Request(post(b"x", length=random.choice(["-1", "1e3", "0x10", "1, 2", "٣", ""])), (400,))


def _two_lengths(random: Random) -> Request:
    sent = post(b"x" * 10, length=False).replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\nContent-Length: 10\r\n\r\n", 1)
    return Request(sent, (400,))


def _broken_chunks(random: Random) -> Request:
    body = random.choice([b"zz\r\nabc\r\n", b"-5\r\nabc\r\n", b"ffffffffffffffffffffffff\r\n"])
    return Request(post(body, length=False, Transfer_Encoding="chunked"), (400, CLOSED, 408))


def _huge_header(random: Random) -> Request:
    return Request(post(b"x", X_Junk="a" * random.choice([2**17, 2**20])), (400, 431, CLOSED))


def _no_token(random: Random) -> Request:
    token = random.choice([None, "", TOKEN[:-1], TOKEN + "0", TOKEN.upper(), TOKEN[::-1]])
    return Request(post(scan_bytes(), token=token), (401,))


def _other_host(random: Random) -> Request:
    return Request(post(scan_bytes(), Host=random.choice(["evil.example", "", "127.0.0.1.evil.example"])), (421, 400))


def _other_page(random: Random) -> Request:
    headers = random.choice([{"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}, {"Origin": "null"}])
    return Request(post(scan_bytes(), **headers), (403,))


KINDS: tuple[Callable[[Random], Request], ...] = (
    _zip_bomb, _lying_zip, _shared_data, _slip, _link, _many_parts, _form_of_many_parts, _mutated_zip, _noise,
    _gzip_bomb, _too_large, _too_large_in_parts, _cut_off, _stalled, _trickled, _slow_header, _wrong_length,
    _two_lengths, _broken_chunks, _huge_header, _no_token, _other_host, _other_page,
)  # fmt: skip
