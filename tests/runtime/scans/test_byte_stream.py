"""Damaged files, files that are no NIfTI, and files that claim more than they are."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import pytest
from bedside.runtime.errors import InputError
from bedside.runtime.scans.byte_stream import ByteStream
from bedside.runtime.scans.nifti import read_volume


def test_missing_file(tmp_path, nifti):
    nifti.refused(tmp_path / "none.nii.gz", "none.nii.gz", "not found")


def test_a_folder_and_a_pipe_do_not_hang(tmp_path, nifti):
    nifti.refused(tmp_path, "expected a file")
    os.mkfifo(tmp_path / "pipe.nii")
    nifti.refused(tmp_path / "pipe.nii", "expected a file")


def test_a_file_name_with_a_null_byte(tmp_path, nifti):
    nifti.refused(Path(f"{tmp_path}/a\0.nii"), "cannot be read")


@pytest.mark.parametrize(
    "content", [b"", b"\x1f\x8b", b"DICM" * 200, bytes(400), gzip.compress(b"text", mtime=0), b"\7" * 999]
)
def test_not_a_nifti(tmp_path, content, nifti):
    (tmp_path / "a.nii.gz").write_bytes(content)
    nifti.refused(tmp_path / "a.nii.gz", "a.nii.gz")


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_every_truncation_is_refused(tmp_path, name, nifti):
    path = nifti.saved(tmp_path, name=name)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        nifti.refused(path, name)


def test_a_flipped_bit_is_refused_wherever_it_could_matter(tmp_path, nifti):
    path = nifti.saved(tmp_path)
    whole = path.read_bytes()
    harmless = 0
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << position % 8
        path.write_bytes(damaged)
        try:
            volume = read_volume(path)
        except InputError:
            continue
        assert (volume.data == nifti.HU).all()
        harmless += 1
    # gzip's date (4 bytes), level and system, and the bits that fill up the last byte carry nothing.
    assert harmless <= 7


def test_a_wrong_checksum_is_named(tmp_path, nifti):
    path = nifti.saved(tmp_path)
    damaged = bytearray(path.read_bytes())
    damaged[-5] ^= 1
    path.write_bytes(damaged)
    nifti.refused(path, "gzip", "check")


def test_several_gzip_members_and_zero_padding_are_one_stream(tmp_path, nifti):
    path = nifti.saved(tmp_path)
    raw = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(raw[:400]) + gzip.compress(raw[400:]) + bytes(100))
    assert (read_volume(path).data == nifti.HU).all()
    path.write_bytes(gzip.compress(raw) + b"junk")
    nifti.refused(path, "unknown bytes")


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
def test_a_file_with_more_bytes_than_its_header_says(tmp_path, name, nifti):
    nifti.refused(nifti.saved(tmp_path, name=name, dim=[3, 5, 5, 4, 1, 1, 1, 1]), "more")


LYING = """
import resource, sys, time
from bedside.runtime.errors import BedsideError
from bedside.runtime.scans.nifti import read_volume
base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
begun = time.process_time()  # of this process alone: the machine may be busy
try:
    read_volume(sys.argv[1])
except BedsideError as error:
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - base) / 1024
    print(int(error.exit_code), grown < 200, time.process_time() - begun < 1)
"""


def run_limited(path: Path) -> str:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # each BLAS thread takes address space
    command = [sys.executable, "-c", LYING, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return done.stdout.strip()


def test_a_small_file_that_claims_two_gigabytes(tmp_path, nifti):
    assert run_limited(nifti.saved(tmp_path, dim=[3, 1024, 1024, 1000, 1, 1, 1, 1])) == "3 True True"


def test_a_small_file_that_claims_more_than_any_scan(tmp_path, nifti):
    nifti.refused(nifti.saved(tmp_path, dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]), "at most 4 GiB")


def test_a_gzip_bomb_is_left_after_the_bytes_the_header_promised(tmp_path, nifti):
    path = nifti.saved(tmp_path)
    raw = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(raw) + gzip.compress(bytes(10**8)) * 100)  # 10 GB of zeros behind the scan
    assert run_limited(path) == "3 True True"


def test_a_bomb_whose_header_tells_the_truth_is_a_matter_of_memory(tmp_path, nifti):
    header = nib.Nifti1Header(bytes(gzip.decompress(nifti.saved(tmp_path).read_bytes())[:348]))
    header["dim"][:4] = [3, 1000, 1000, 1000]
    zeros = bytes(10**8)
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(header.binaryblock + bytes(4)) + gzip.compress(zeros) * 20)
    assert run_limited(path) == "5 True True"


@pytest.fixture(params=["plain", "gzip", "two members"])
def stream(request, tmp_path):
    """Ten bytes, in one piece or in two."""
    pack = {"plain": bytes, "gzip": gzip.compress, "two members": lambda b: gzip.compress(b[:4]) + gzip.compress(b[4:])}
    (tmp_path / "a").write_bytes(pack[request.param](b"0123456789"))
    with ByteStream(tmp_path / "a") as opened:
        yield opened


def test_bytes_come_in_order_however_they_are_asked_for(stream):
    buffer = bytearray(3)
    assert stream.read(2) == b"01"
    stream.readinto(memoryview(buffer))
    assert buffer == b"234"
    assert stream.skip(4) == 4
    assert stream.read(99) == b"9"
    assert (stream.read(1), stream.skip(1)) == (b"", 0)
    stream.finish()


def test_more_than_there_is_cannot_be_filled_in(stream):
    with pytest.raises(InputError, match='"a": expected 2 more bytes, got the end; copy it again'):
        stream.readinto(memoryview(bytearray(12)))


@pytest.mark.parametrize(("length", "word"), [(9, "more"), (11, "fewer")])
def test_another_length_than_the_header_specifies_is_refused_without_moving_on(stream, length, word):
    stream.check_length(10)
    with pytest.raises(InputError, match=f"the header specifies {length} bytes, the file holds {word};"):
        stream.check_length(length)
    assert stream.read(10) == b"0123456789"


def test_bytes_after_the_expected_end_are_refused(stream):
    stream.skip(9)
    with pytest.raises(InputError, match="expected the end of the file, got more bytes than its header says"):
        stream.finish()


def test_a_file_that_is_written_to_while_it_is_read_is_refused(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    with ByteStream(tmp_path / "a") as stream:
        stream.skip(10)
        os.utime(tmp_path / "a", (0, 0))
        with pytest.raises(InputError, match="the file was changed while it was read; try again"):
            stream.finish()


def test_compressed_bytes_have_room_for_no_more_than_deflate_can_hold(tmp_path):
    (tmp_path / "a").write_bytes(gzip.compress(bytes(10)))
    size = (tmp_path / "a").stat().st_size
    with ByteStream(tmp_path / "a") as stream:
        stream.check_room(size * 1032)
        with pytest.raises(InputError, match=f"more than {size} compressed bytes can hold"):
            stream.check_room(size * 1032 + 1)


def test_thousands_of_empty_gzip_members_are_refused(tmp_path):
    (tmp_path / "a").write_bytes(gzip.compress(b"") * 1002)
    with ByteStream(tmp_path / "a") as stream, pytest.raises(InputError, match="too many empty gzip members"):
        stream.read(1)
