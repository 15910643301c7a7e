"""Several processes open one session: the first reads the data set and SAM's weights, the others hear what it found."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume

CHILD = Path(__file__).with_name("child_ranks.py")
SHAPE = (24, 20, 16)
EXTRA = {"good": "", "broken": "", "refused": "--patch 18 18 18", "unknown": "--name none"}


@pytest.fixture(scope="module")
def trainings(tmp_path_factory, cube_task):
    """Folders of trainings by two processes: good, with a broken case, a wrong patch, an unknown teacher."""
    folders = {name: write_data(tmp_path_factory.mktemp(name), cube_task) for name in EXTRA}
    image = folders["broken"] / "case1.nii.gz"
    image.write_bytes(image.read_bytes()[:-20])
    words = {
        str(folder): f"{folder} --task {folder}/cube.toml -o {folder}/run --checkpoint {folder}/sam.pth --device cpu "
        f"--epochs 6 -q --name tiny {EXTRA[name]}".split()
        for name, folder in folders.items()
    }
    environment = {key: value for key, value in os.environ.items() if key != "LOCAL_RANK"} | {"OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, CHILD], input=json.dumps(words), env=environment, text=True, timeout=120, check=True
    )
    return folders


def write_data(folder, task):
    """Writes two training scans, one for validation, and a file in place of SAM's weights."""
    entries = []
    for number in range(3):
        image, labels = np.full(SHAPE, 40 + number, np.int16), np.zeros(SHAPE, np.uint8)
        image[:3], labels[10:14, 8:12, 6:10] = -1000, 1
        for name, array in ((f"case{number}", image), (f"label{number}", labels)):
            write_volume(folder / f"{name}.nii.gz", array, Grid(SHAPE, np.diag([4.0, 4.0, 4.0, 1.0])))
        entries.append({"image": f"case{number}.nii.gz", "label": f"label{number}.nii.gz"})
    listing = {"labels": ["background", "cube"], "training": entries[:2], "validation": entries[2:]}
    (folder / "dataset.json").write_text(json.dumps(listing))
    (folder / "cube.toml").write_text(task)
    (folder / "sam.pth").write_bytes(b"weights of SAM")
    return folder


def outcome(folder):
    """The exit codes, what each process noted, and their words."""
    notes = [json.loads(file.read_text()) for file in sorted(folder.glob("rank*.json"))]
    return json.loads((folder / "codes.json").read_text()), notes, (folder / "words").read_text()


def test_the_first_process_alone_reads_the_data_set_and_sams_weights(trainings):
    codes, (first, second), words = outcome(trainings["good"])
    assert codes == [0, 0], words
    scans = [f"{kind}{number}.nii.gz" for kind in ("case", "label") for number in range(3)]
    assert first.pop("opened") == [*scans, "sam.pth"]
    assert second.pop("opened") == []
    assert second == first
    assert first["cases"] == ["case0", "case1"]
    assert first["weights"] == hashlib.sha256(b"weights of SAM").hexdigest()


@pytest.mark.parametrize(
    ("name", "code", "told"),
    [
        ("broken", 3, '1 of 3 cases cannot be used: case "case1"'),
        ("refused", 2, "patch: expected (D, H, W) in multiples of 4 voxels"),
        ("unknown", 2, 'no teacher "none"'),
    ],
)
def test_what_the_first_process_refuses_ends_all_with_its_code_and_one_line(trainings, name, code, told):
    codes, notes, words = outcome(trainings[name])
    assert codes == [code, code], words
    assert notes == []
    assert told in words
    assert len(words.splitlines()) == 1, words
