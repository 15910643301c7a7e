"""A memory limit is kept, and what does not fit is refused before it starts."""

import gzip
import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime import ResourceError, Segmenter

CHILD = Path(__file__).with_name("child_capped.py")
pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")


SHAPE = (510, 510, 960)  # thrice the task's grid, so that its voxels hold one tissue and no labels are near a tie


@pytest.fixture(scope="module")
def wide(toy, tmp_path_factory):
    """A bundle with a window that makes scores matter, a CT in float64, and the bytes of its voxels.

    One plane is written again and again, as gzip members of their own: nobody needs to hold or compress the rest.
    """
    folder = tmp_path_factory.mktemp("capped")
    bundle = toy.write_bundle(folder / "toy.bedside", toy.task(patch=(64, 64, 64)))
    y, x = np.mgrid[-1 : 1 : SHAPE[1] // 3 * 1j, -1 : 1 : SHAPE[0] // 3 * 1j]
    trunk = np.where((x / 0.8) ** 2 + (y / 0.6) ** 2 < 1, np.where(x**2 + y**2 < 0.05, 1000.0, 0.0), -1000.0)
    trunk = np.kron(trunk, np.ones((3, 3)))
    trunk += np.random.default_rng(17).integers(-9, 9, trunk.shape)
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float64)
    header.set_data_shape(SHAPE)
    header.set_sform(np.eye(4), code=1)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    plane = gzip.compress(trunk.tobytes(), 1)
    with (folder / "ct.nii.gz").open("wb") as file:
        file.write(gzip.compress(header.binaryblock + bytes(4)))
        for _ in range(SHAPE[2]):
            file.write(plane)
    return bundle, folder / "ct.nii.gz", trunk.nbytes * SHAPE[2]


def child(bundle, scan, limit, **options):
    return subprocess.run(
        [sys.executable, CHILD, str(bundle), str(scan), str(limit)],
        capture_output=True,
        text=True,
        timeout=600,
        **options,
    )


@pytest.fixture(scope="module")
def uncapped(wide):
    done = child(*wide[:2], 0)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def least_limit(bundle, scan):
    """The least limit that is accepted, to a megabyte, as a process that has done nothing else would find it."""
    code = (
        "import re, sys\n"
        "from bedside.runtime import Segmenter, ResourceError\n"
        "with Segmenter.load(sys.argv[1], 'onnxruntime', 'fp32', threads=1, memory_limit=1) as s:\n"
        "    try:\n"
        "        s.segment(sys.argv[2])\n"
        "    except ResourceError as error:\n"
        "        print(re.search(r'needs about ([0-9,]+) MiB', str(error))[1].replace(',', ''))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, bundle, scan], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return (int(done.stdout) + 1) * 2**20


def test_17_a_volume_four_times_the_cap_stays_within_it(wide, uncapped, trials, count):
    bundle, scan, stored = wide
    least = least_limit(bundle, scan)
    assert stored > 4 * least
    for number in range(trials(20)):
        limit = least + number * 2**20
        done = child(bundle, scan, limit)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert answer["peak"] <= limit
        assert answer["labels"] == uncapped["labels"]
        count["within the cap, same labels"] += 1
    count["volume / cap, in percent"] = 100 * stored // least


def test_18_a_limit_below_the_need_is_refused(bundle_path, trials, count):
    """Swept from nothing to just below what is asked for; nothing is computed, nothing is killed."""
    hu = np.full((60, 60, 60), -1000, np.int16)
    hu[10:50, 10:50, 5:55] = 0
    asked = []
    with Segmenter.load(bundle_path, "onnxruntime", "fp32", threads=1) as free:
        expected = free.segment_array(hu, np.diag([3, 3, 3, 1])).labels
    for share in np.linspace(0, 0.98, trials(50)):
        limit = int(share * asked[-1]) if asked else 1
        with (
            Segmenter.load(bundle_path, "onnxruntime", "fp32", threads=1, memory_limit=limit) as tight,
            pytest.raises(ResourceError, match=r"raise the limit to .* or crop the scan") as refused,
        ):
            tight.segment_array(hu, np.diag([3, 3, 3, 1]), progress=lambda *_: pytest.fail("work began"))
        asked.append(_needed(refused.value))
        count["refused with exit 5"] += refused.value.exit_code == 5
    with Segmenter.load(bundle_path, "onnxruntime", "fp32", threads=1, memory_limit=2 * asked[-1]) as roomy:
        assert np.array_equal(roomy.segment_array(hu, np.diag([3, 3, 3, 1])).labels, expected)
    assert count["refused with exit 5"] == trials(50)


def test_18_a_machine_without_the_memory_is_told_so_and_kills_nobody(wide, trials, count):
    """The process itself is capped (``ulimit -v``): the scan is refused, or done, but never ends in a crash."""
    bundle, scan, _ = wide
    room = _address_space(bundle)
    for extra in np.linspace(20, 200, trials(50)).astype(int):
        done = child(bundle, scan, 0, preexec_fn=lambda extra=extra: _cap(room + int(extra) * 2**20))
        if done.returncode == 0:
            count["done"] += 1
            continue
        told = done.stderr.splitlines()[-1]
        assert re.search("ResourceError: (this scan needs about|the system starts no more threads)", told), done.stderr
        count["refused"] += 1
    assert count["refused"] > 0


def _needed(error):
    return int(re.search(r"needs about ([0-9,]+) MiB", str(error))[1].replace(",", "")) * 2**20


def _cap(size):
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def _address_space(bundle):
    """What a process with the engine loaded has mapped."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom bedside.runtime import Segmenter\n"
        "with Segmenter.load(sys.argv[1], 'onnxruntime', 'fp32', threads=1):\n"
        "    text = Path('/proc/self/status').read_text()\n"
        "print(next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith('VmPeak')))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, bundle], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return int(done.stdout)
