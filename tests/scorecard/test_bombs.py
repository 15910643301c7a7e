"""Small files that claim or unpack to gigabytes are refused before the memory is taken."""

import gzip
import json
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header

CHILD = Path(__file__).with_name("child_read.py")
ZEROS = gzip.compress(bytes(16 * 2**20), 9, mtime=0)  # 16 MiB in 16 KB: one member of a bomb
MEGABYTE = 10**6


def header(kind=Nifti1Header, dtype=np.int16, **fields):
    made = kind()
    made.set_data_dtype(dtype)
    made.set_data_shape((8, 8, 8))
    made.set_sform(np.diag([1, 1, 1, 1]), code=1)
    made["magic"] = b"n+1" if kind is Nifti1Header else b"n+2\0\r\n\032\n"
    made["vox_offset"] = made.sizeof_hdr + 4
    for name, value in fields.items():
        made[name] = value
    return made.binaryblock + bytes(4)


def dims(*sizes):
    return [len(sizes), *sizes, *[1] * (7 - len(sizes))]


def with_length(packed, length):
    """A gzip stream whose length field says something else."""
    return packed[:-4] + struct.pack("<I", length % 2**32)


def single_member(head, megabytes):
    """One gzip member of a header and zeros, with a checksum that is never reached."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    content = packer.compress(head)
    for _ in range(megabytes):
        content += packer.compress(bytes(MEGABYTE))
    return content + packer.flush()


def lying_headers():
    """(name, file) of small files with headers that claim much."""
    for kind, label in ((Nifti1Header, "nifti1"), (Nifti2Header, "nifti2")):
        for sizes in ((1024, 1024, 1000), (32_767, 32_767, 1), (32_767, 32_767, 32_767), (512, 512, 512, 8)):
            lie = header(kind, dim=dims(*sizes))
            name = f"{label} {'x'.join(map(str, sizes))}"
            yield f"{name}.nii", lie + bytes(19_000)
            yield f"{name}.nii.gz", gzip.compress(lie + bytes(19_000))
            yield f"{name} random.nii.gz", gzip.compress(lie + np.random.default_rng(4).bytes(19_000))
    for name, sizes in {
        "2^62": (2**62, 1, 1),
        "wraps to 0": (2**32, 2**32, 1),
        "wraps to 16": (2**32, 2**31, 2**3),
        "wraps to 1": (2**63 - 1, 2**63 - 1, 1),
        "seven axes": (2**20,) * 7,
        "negative": (-512, 512, 512),
        "twice negative": (-512, -512, 512),
        "lowest": (-(2**63), 1, 1),
    }.items():
        yield f"{name}.nii", header(Nifti2Header, dim=dims(*sizes)) + bytes(19_000)
        yield f"{name}.nii.gz", gzip.compress(header(Nifti2Header, dim=dims(*sizes)) + bytes(19_000))
    for sizes in ((-1, 8, 8), (8, -32_768, 8)):
        yield f"negative {sizes}.nii", header(dim=dims(*sizes)) + bytes(1024)
    yield "offset of terabytes.nii", header(Nifti2Header, vox_offset=2**40) + bytes(1024)
    yield "negative offset.nii", header(Nifti2Header, vox_offset=-544) + bytes(1024)


def bombs():
    """(name, file) of gzip files that expand a thousand times."""
    small, large = header(dim=dims(8, 8, 8)), header(dim=dims(512, 512, 600))
    yield "2 GB behind a small header.nii.gz", gzip.compress(small) + ZEROS * 128
    yield "100 MB in one member.nii.gz", single_member(small, 100)
    claimed = 352 + 2 * 512 * 512 * 600
    yield "more than the 315 MB it claims.nii.gz", gzip.compress(large) + ZEROS * 40
    yield "and its length field agrees.nii.gz", with_length(gzip.compress(large) + ZEROS * 40, claimed)
    yield "less than it claims.nii.gz", with_length(gzip.compress(large) + ZEROS * 19, claimed)
    yield "100,000 empty members.nii.gz", gzip.compress(small) + gzip.compress(b"", mtime=0) * 100_000
    yield "100,000 members of a byte.nii.gz", gzip.compress(large) + gzip.compress(b"0", mtime=0) * 100_000
    yield "zero padding without end.nii.gz", gzip.compress(large) + bytes(4 * MEGABYTE)
    yield "a bomb in a bomb.nii.gz", gzip.compress(gzip.compress(small + bytes(20 * MEGABYTE)))


def seconds_to_inflate(size):
    """Processor seconds that zlib alone takes on this machine for so many bytes of zeros."""
    begun = time.process_time()
    for _ in range(size // (16 * 2**20)):
        zlib.decompress(ZEROS, 31)
    return time.process_time() - begun


def test_04_bombs_and_lies_are_refused_at_once_and_without_memory(tmp_path, trials, count):
    cases = [*bombs(), *lying_headers()]
    assert len(cases) >= 50
    chosen = np.random.default_rng(0).permutation(len(cases))[: max(8, trials(len(cases)))]
    for number in chosen:
        name, content = cases[number]
        (tmp_path / name).write_bytes(content)
    paths = [str(tmp_path / cases[number][0]) for number in chosen]
    done = subprocess.run(
        [sys.executable, CHILD], input="\n".join(paths), capture_output=True, text=True, env={"OMP_NUM_THREADS": "1"}
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(paths), done.stderr
    limit = max(1, 2 * seconds_to_inflate(2 * 512 * 512 * 600))  # the most that a header claims is counted once
    for path, answer in zip(paths, answers, strict=True):
        told = (Path(path).name, answer)
        assert answer["outcome"] in ("InputError", "ResourceError"), told
        assert answer["cpu_seconds"] < limit, told
        assert answer["wall_seconds"] < 10, told
        assert answer["extra_bytes"] < 200 * MEGABYTE, told
        count[answer["outcome"]] += 1
        (tmp_path / Path(path).name).unlink()
