"""Nothing of the patient leaves the scan: canaries in every header field and name are looked for everywhere.

The rule for names: what is logged, computed or written holds neither folder nor file names; the one line that tells a
person of an error names the file it is about, by its last part only, so that the person knows which.
"""

import gzip
import logging
import struct
import tempfile

import nibabel as nib
import numpy as np
import pytest
from bedside.cli.main import run
from nibabel.nifti1 import Nifti1Extension

CANARY = "Zzyzx^Qwfp"  # in no other text
# Field → offset and length in a NIfTI-1 header.
FIELDS = {"data_type": (4, 10), "db_name": (14, 18), "descrip": (148, 80), "aux_file": (228, 24), "intent": (328, 16)}
EXTENSIONS = {"DICOM": 2, "AFNI": 4, "comment": 6, "XCEDE": 8, "MRS": 44, "unknown": 998}
NAMES = ("scan.{}.nii.gz", "{}.nii.gz", "{}.nii", "scan {}.nii.gz")
OUTCOMES = (
    "written", "sheared", "NaN refused", "NaN replaced", "sheared too far", "cut short", "no such volume", "constant",
    "full disk",
)  # fmt: skip
CODES = {"written": 0, "sheared": 0, "NaN replaced": 6, "full disk": 5}  # others are refused with 3


def scan(outcome, place):
    """The bytes of a scan that ends as ``outcome`` says, with the canary in the header field or extension ``place``."""
    hu = np.full((14, 12, 10), -1000.0, np.float32)
    hu[4:10, 3:9, 2:8] = 0
    affine = np.diag([3.0, 3, 3, 1])
    if outcome.startswith("NaN"):
        hu[1, 1, 1] = np.nan
    elif outcome.startswith("sheared"):
        affine[0, 1] = 9 if outcome == "sheared too far" else 2
    elif outcome == "constant":
        hu[:] = 3
    image = nib.Nifti1Image(hu, affine)
    if place in EXTENSIONS:
        image.header.extensions.append(Nifti1Extension(EXTENSIONS[place], CANARY.encode() * 3))
    content = bytearray(image.to_bytes())
    if place in FIELDS:
        offset, length = FIELDS[place]
        struct.pack_into(f"{length}s", content, offset, CANARY.encode()[:length])
    return bytes(content[:-200] if outcome == "cut short" else content)


@pytest.fixture
def watched(bundle_path, tmp_path, capfd, caplog, monkeypatch):
    """Runs `segment`; returns the exit code and everything that was said, logged, written or left behind."""
    caplog.set_level(0)
    for name in ("bedside", "nibabel"):
        caplog.set_level(0, logger=name)
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    full = False

    def no_space(_descriptor):
        if full:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)

    def check(path, outcome, debug):
        nonlocal full
        full = outcome == "full disk"
        words = ["--debug"] * debug + ["segment", bundle_path, "-i", path, "-o", work / "out.nii.gz"]
        words += {"NaN replaced": ["--replace-nan", "0"], "no such volume": ["--volume", "7"]}.get(outcome, [])
        code = run([*map(str, words), "--engine", "onnxruntime", "--json"])
        said = capfd.readouterr()
        written = b"".join(
            file.read_bytes() for folder in (work, temporary) for file in folder.rglob("*") if file.is_file()
        )
        names = " ".join(file.name for folder in (work, temporary) for file in folder.rglob("*"))
        output = work / "out.nii.gz"
        if output.exists():
            written += gzip.decompress(output.read_bytes())
            output.unlink()
        logged = "\n".join(logging.Formatter().format(record) for record in caplog.records)
        caplog.clear()
        error = [line for line in said.err.splitlines() if line.startswith("bedside: error: ")]
        other = "\n".join(line for line in said.err.splitlines() if line not in error)
        return code, "\n".join([said.out, other, logged, names, written.decode("latin-1")]), "".join(error)

    return check


def test_22_canaries_in_the_header_are_found_nowhere(watched, tmp_path, trials, count):
    places = [*FIELDS, *EXTENSIONS]
    rng = np.random.default_rng(22)
    for number in range(trials(100)):
        place, outcome = places[number % len(places)], str(rng.choice(OUTCOMES))
        (tmp_path / "ct.nii.gz").write_bytes(gzip.compress(scan(outcome, place)))
        code, everything, error = watched(tmp_path / "ct.nii.gz", outcome, debug=number % 2 == 0)
        assert code == CODES.get(outcome, 3), (outcome, error)
        assert CANARY[:8] not in everything + error, (place, outcome)
        count["0 found"] += 1


def test_22_canaries_in_names_are_found_in_the_error_line_only(watched, tmp_path, trials, count):
    rng = np.random.default_rng(222)
    for number in range(trials(100)):
        folder = tmp_path / f"{CANARY}Folder"
        folder.mkdir(exist_ok=True)
        name, outcome = str(rng.choice(NAMES)).format(CANARY), str(rng.choice(OUTCOMES))
        content = scan(outcome, "none")
        (folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        code, everything, error = watched(folder / name, outcome, debug=number % 2 == 0)
        assert code == CODES.get(outcome, 3), (outcome, error)
        assert f"{CANARY}Folder" not in everything + error, outcome
        assert CANARY not in everything, outcome
        assert error.replace(f'"{name}"', "").count(CANARY) == 0, error
        count["0 found but the file in the error line"] += 1
