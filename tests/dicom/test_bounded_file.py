"""A damaged length in a small DICOM file takes no memory, and is the file's fault, not the machine's."""

from __future__ import annotations

import struct

import pytest
from bedside.dicom.bounded_file import BoundedFile

from ..fresh_process import run_fresh
from .written_series import write_series

IMPOSSIBLE = 2**62  # bytes


def test_no_more_is_asked_for_than_is_left(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    with (tmp_path / "file").open("rb") as plain, pytest.raises(MemoryError):
        plain.read(IMPOSSIBLE)
    with BoundedFile(tmp_path / "file") as file:
        assert (file.read(3), file.read(IMPOSSIBLE), file.read(IMPOSSIBLE)) == (b"con", b"tent", b"")
        file.seek(100)
        assert file.read(IMPOSSIBLE) == b""
        file.seek(4)
        assert (file.read(), file.name) == (b"ent", tmp_path / "file")


READ = """
import json, resource, sys
from pathlib import Path
from bedside.dicom.frames import read_frames
from bedside.dicom.references import read_header
from bedside.dicom.series import real_plane
from bedside.runtime.errors import BedsideError

sound, *damaged = map(Path, sys.argv[1:])
(frame,) = read_frames(sound)
real_plane(frame)
read_header(sound)  # all modules are loaded now
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, used + 2**29))

def outcome(file):
    try:
        read_header(file)
        real_plane(*read_frames(file))
    except BedsideError as error:
        return int(error.exit_code)
    return 0

print(json.dumps([outcome(file) for file in damaged]))
"""


def test_a_length_of_gigabytes_in_a_small_file_is_no_shortage_of_memory(tmp_path):
    (sound,) = write_series(tmp_path, leave_out=range(1, 5))
    content = sound.read_bytes()
    image_type, pixels = content.index(b"\x08\x00\x08\x00CS"), content.index(b"\xe0\x7f\x10\x00OW")
    damaged = []
    for name, place, change in (
        ("header", image_type + 4, b"UN\0\0" + struct.pack("<I", 0xF0000000)),
        ("pixels", pixels + 8, struct.pack("<I", 0xF0000000)),
    ):
        damaged.append(tmp_path / f"{name}.dcm")
        damaged[-1].write_bytes(content[:place] + change + content[place + len(change) :])
    header, of_pixels = run_fresh(READ, str(sound), *map(str, damaged))
    assert header == 3  # its other elements are lost
    assert of_pixels == 0  # all pixels are there
