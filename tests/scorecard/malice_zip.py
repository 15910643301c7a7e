"""Zips made to do harm. Each maker packs a good bundle and adds its own."""

from __future__ import annotations

import stat
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

Maker = Callable[[Path, Path], None]
_UTF8_NAME, _ENCRYPTED = 0x800, 0x1


def member(name: str, content: bytes = b"x", *, mode: int = 0, method: int = zipfile.ZIP_STORED) -> Maker:
    """Adds a member of any name and Unix mode."""

    def make(bundle: Path, archive: Path) -> None:
        info = zipfile.ZipInfo("placeholder")
        info.filename, info.external_attr, info.compress_type = name, mode << 16, method
        with pack(bundle, archive) as packed, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # zipfile warns of a second member of one name
            packed.writestr(info, content)

    return make


def two_names(bundle: Path, archive: Path) -> None:
    """A member with a Unicode Path field, from which Python 3.12 and later take its name."""
    info = zipfile.ZipInfo("notes.md")
    field = struct.pack("<BL", 1, zlib.crc32(b"notes.md")) + b"../canary"
    info.extra = struct.pack("<HH", 0x7075, len(field)) + field
    with pack(bundle, archive) as packed:
        packed.writestr(info, b"x")


def pack(bundle: Path, archive: Path) -> zipfile.ZipFile:
    packed = zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED)
    for path in sorted(bundle.iterdir()):
        packed.write(path, path.name)
    return packed


def altered(change: Callable[[bytearray], object], maker: Maker | None = None) -> Maker:
    """Alters the zip's bytes after packing."""

    def make(bundle: Path, archive: Path) -> None:
        maker(bundle, archive) if maker else pack(bundle, archive).close()
        content = bytearray(archive.read_bytes())
        change(content)
        archive.write_bytes(content)

    return make


def smaller_than_it_is(content: bytearray) -> None:
    """The size in both places says 10 bytes."""
    true = struct.pack("<I", 20_000_000)
    while (place := content.find(true)) >= 0:
        content[place : place + 4] = struct.pack("<I", 10)


def encrypted(content: bytearray) -> None:
    content[6] |= _ENCRYPTED
    content[content.find(b"PK\x01\x02") + 8] |= _ENCRYPTED


def many_members(bundle: Path, archive: Path) -> None:
    with pack(bundle, archive) as packed:
        for number in range(2000):
            packed.writestr(f"notes/{number}.md", "")


def a_million_entries(bundle: Path, archive: Path) -> None:
    """Only the table of contents: 300,000 entries that point to nothing."""
    number = 300_000
    entry = b"PK\x01\x02" + struct.pack("<HHHHHHIIIHHHHHII", 20, 20, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0)
    table = b"".join(entry + b"%06d" % index for index in range(number))
    ending = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, number % 65_536, number % 65_536, len(table), 30, 0)
    archive.write_bytes(b"PK\x03\x04" + bytes(26) + table + ending)


def two_bundles(bundle: Path, archive: Path) -> None:
    with pack(bundle, archive) as packed:
        for path in sorted(bundle.iterdir()):
            packed.write(path, f"other/{path.name}")


ZEROS = bytes(20_000_000)
ZIPS: dict[str, Maker] = {
    **{
        f"a member {name!a}": member(name)
        for name in (
            "../canary", "/tmp/bedside-canary", "a/../../canary", "..\\canary", "C:\\canary.md", "C:canary.md",
            "//server/canary", "./../canary", "a/./../../canary", "canary\0.md", "README.md\0", "c\u202edm.md",
            "re\u0301.md", "\x1b[2J.md", ".. /canary", "...", "README.md.",
        )
    },
    "a member of two names": two_names,
    "a link": member("notes.md", b"/etc/passwd", mode=stat.S_IFLNK | 0o777),
    "a link to a folder": member("openvino", b"..", mode=stat.S_IFLNK | 0o777),
    "a device": member("notes.md", mode=stat.S_IFBLK | 0o666),
    "a pipe": member("notes.md", mode=stat.S_IFIFO | 0o666),
    "a socket": member("notes.md", mode=stat.S_IFSOCK | 0o666),
    "a bomb": member("zeros.bin", bytes(200_000_000), method=zipfile.ZIP_DEFLATED),
    "a bomb that lies": altered(smaller_than_it_is, member("zeros.bin", ZEROS, method=zipfile.ZIP_DEFLATED)),
    "a bzip2 member": member("zeros.bin", ZEROS, method=zipfile.ZIP_BZIP2),
    "an lzma member": member("zeros.bin", ZEROS, method=zipfile.ZIP_LZMA),
    "one name twice": member("README.md"),
    "one name in capitals": member("readme.MD"),
    "a file that is a folder too": member("README.md/notes.md"),
    "a folder that is a file too": member("bundle.json/x"),
    "an unlisted member": member("sitecustomize.py", b"print('hello')"),
    "an encrypted member": altered(encrypted),
    "2,000 members": many_members,
    "a table of contents of 15 MB": a_million_entries,
    "two bundles": two_bundles,
    "cut short": altered(lambda content: content.__delitem__(slice(len(content) // 2, None))),
    "a comment that hides the end": altered(lambda content: content.extend(b"PK\x05\x06" + bytes(18))),
}  # fmt: skip
