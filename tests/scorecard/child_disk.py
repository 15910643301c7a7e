"""Fills a small disk at many levels while something is written there; tells what was left each time.

As "small disk" it mounts a file system in memory, which takes a mount namespace of its own (``unshare
--map-root-user --mount``); as "small files" the limit is that of a single file (RLIMIT_FSIZE).

Arguments: how, what to write (labels, bundle, zip), empty folder, source bundle, its zip, then the levels as numbers
of pages. Prints one JSON object per level.
"""

import contextlib
import json
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from bedside.runtime import BedsideError, Bundle, Grid, read_labels, write_manifest, write_volume
from bedside.runtime.bundles.manifest import MANIFEST_NAME
from bedside.runtime.files.atomic import atomic_directory

PAGE = 4096
ROOMY = 2**30
how, kind, (disk, source, archive) = sys.argv[1], sys.argv[2], map(Path, sys.argv[3:6])
grid = Grid((60, 60, 60), np.diag([1, 1, 1, 1]))
old, new = (np.random.default_rng(seed).integers(0, 14, grid.shape).astype(np.uint8) for seed in (1, 2))
labels, bundle = disk / "labels.nii", disk / "toy.bedside"


def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "bedside-test", disk], check=True)


def write_bundle(folder):
    with atomic_directory(folder, marker=MANIFEST_NAME) as temporary:
        for path in source.iterdir():
            shutil.copyfile(path, temporary / path.name)
        with Bundle.open(source) as opened:
            write_manifest(temporary, opened.manifest)


def write():
    if kind == "labels":
        write_volume(labels, new, grid)
    elif kind == "bundle":
        write_bundle(bundle)
    else:
        tempfile.tempdir = str(disk)
        Bundle.open(archive).close()


def prepare():
    if kind == "labels":
        write_volume(labels, old, grid)
    elif kind == "bundle":
        write_bundle(bundle)
    else:
        (disk / "other.txt").write_text("somebody else's")  # and a disk of size 0 would be one without a limit


def intact():
    if kind == "labels":
        return bool(np.array_equal(read_labels(labels).data, old))
    if kind == "bundle":
        Bundle.open(bundle).close()
        return True
    return (disk / "other.txt").read_text() == "somebody else's"


@contextlib.contextmanager
def space(pages):
    """Leaves so many pages free on the disk, or in each file."""
    if how == "small disk":
        mount(f"remount,size={shutil.disk_usage(disk).used + pages * PAGE}")
        yield
        mount(f"remount,size={ROOMY}")
    else:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (pages * PAGE, resource.RLIM_INFINITY))
        yield
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)


if how == "small disk":
    mount(f"size={ROOMY}")
prepare()
before = sorted(disk.rglob("*"))
for pages in map(int, sys.argv[6:]):
    code = 0
    with space(pages):
        try:
            write()
        except BedsideError as error:
            code = int(error.exit_code)
    answer = {"pages": pages, "code": code, "intact": intact(), "left": sorted(disk.rglob("*")) != before}
    print(json.dumps(answer), flush=True)
