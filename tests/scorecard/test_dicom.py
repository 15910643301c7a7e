"""Series that were mutated are read rightly or refused by name, and nothing of their patient leaves them."""

from __future__ import annotations

import logging
import shutil

import numpy as np
import pytest
from bedside.cli.main import run
from bedside.dicom import open_series
from bedside.runtime.errors import InputError
from bedside.runtime.scans.scan import Scan
from pydicom.datadict import dictionary_VR
from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from ..dicom.written_series import SPACING, numbers, write_series

CANARY = "Zzyzx^Qwfp"  # in no other text
TEXTS = (
    "AccessionNumber", "BodyPartExamined", "ImageComments", "InstitutionName", "IssuerOfPatientID", "OperatorsName",
    "OtherPatientIDs", "PatientComments", "PatientID", "PatientName", "PatientAddress", "PerformedProcedureStepID",
    "PerformingPhysicianName", "ProtocolName", "ReferringPhysicianName", "SeriesDescription", "StationName",
    "StudyDescription", "StudyID", "AdditionalPatientHistory", "RequestingPhysician", "ManufacturerModelName",
)  # fmt: skip
SYNTAXES = (None, None, ImplicitVRLittleEndian, RLELossless, JPEG2000Lossless)


def mutated(folder, rng):
    """Writes a series with a mutation; returns values [z, y, x], geometry, and the words that refuse it."""
    values = numbers((int(rng.integers(4, 9)), 36, 40)) + int(rng.integers(-1000, 1000))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0].round(6)
    step = np.cross(turn[0], turn[1]) * rng.uniform(0.5, 5)
    kind = str(rng.choice(["sound", "tilt", "gap", "twice", "uneven", "sideways", "turned", "size"]))
    if kind == "tilt":
        step = step + turn[1] * float(np.linalg.norm(step)) * np.tan(np.radians(rng.uniform(5, 25)))
    syntax, at = SYNTAXES[int(rng.integers(len(SYNTAXES)))], int(rng.integers(1, len(values) - 1))

    def change(made, number):
        if kind in ("uneven", "sideways") and number == at:
            offset = step * 0.2 if kind == "uneven" else turn[0] * 0.3 * float(np.linalg.norm(step))
            made.ImagePositionPatient = [
                round(float(x), 6) for x in np.array(made.ImagePositionPatient, float) + offset
            ]
        if kind == "turned" and number == at:
            made.ImageOrientationPatient = [*turn[0], *turn[2]]
        if kind == "size" and number == at:
            made.Rows, made.PixelData = 32, values[0, :32].tobytes()
        if syntax is not None and syntax.is_compressed:
            made.compress(syntax)
        elif syntax is not None:
            made.file_meta.TransferSyntaxUID = syntax

    written = {"row": turn[0], "column": turn[1], "step": step, "change": change, "values": values}
    write_series(folder, **written, big_endian=syntax is None and kind == "sound" and bool(rng.integers(2)))
    if kind == "gap":
        shutil.rmtree(folder)
        write_series(folder, **written, leave_out=[at])
    if kind == "twice":
        write_series(folder / "copy", **written)
    words = {
        "gap": "1 slice is missing", "twice": "where another lies", "uneven": "unevenly spaced",
        "sideways": "from its place", "turned": "differ in orientation", "size": "differ in size",
    }  # fmt: skip
    return values, (turn, step), words.get(kind, "")


def test_28_a_mutated_series_is_right_or_refused_by_name(tmp_path, trials, count):
    rng = np.random.default_rng(28)
    for _ in range(trials(1000)):
        folder = tmp_path / "series"
        values, (turn, step), words = mutated(folder, rng)
        if words:
            with pytest.raises(InputError, match=words):
                open_series(folder)
            count["refused by name"] += 1
        else:
            volume = Scan(open_series(folder)).load()
            assert np.array_equal(volume.data, values.transpose(2, 1, 0))
            columns = np.stack([turn[0] * SPACING[1], turn[1] * SPACING[0], step], 1) * [[-1], [-1], [1]]
            assert np.allclose(volume.grid.affine[:3, :3], columns, atol=1e-4)
            count["right"] += 1
        shutil.rmtree(folder)


def test_22_canaries_in_every_text_of_a_dicom_header_are_found_nowhere(
    bundle_path, tmp_path, capfd, caplog, monkeypatch, trials, count
):
    caplog.set_level(0)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(22)
    for number in range(trials(100)):
        marked = TEXTS[number % len(TEXTS)]

        def change(made, _, marked=marked):
            long = dictionary_VR(marked) not in ("CS", "SH")
            setattr(made, marked, CANARY * 3 if long else CANARY.upper().replace("^", "_"))

        outcome = str(rng.choice(["written", "missing", "damaged", "cut"]))
        leave_out = [3] if outcome == "missing" else []
        files = write_series(tmp_path / "ct", values=numbers((8, 16, 16)), leave_out=leave_out, change=change)
        if outcome in ("damaged", "cut"):
            files[2].write_bytes(files[2].read_bytes()[: 200 if outcome == "cut" else -50])
        words = ["--debug", "segment", str(bundle_path), "-i", str(tmp_path / "ct"), "-o", str(tmp_path / "out.nii.gz")]
        code = run([*words, "--record", str(tmp_path / "record.json"), "--engine", "onnxruntime", "--json"])
        assert code == 3 if outcome != "written" else code in (0, 6)
        listed = run(["inspect", str(tmp_path / "ct")])
        assert listed == (3 if outcome == "cut" else 0)
        said = "".join(capfd.readouterr())
        logged = "\n".join(logging.Formatter().format(record) for record in caplog.records)
        kept = "".join(path.read_bytes().decode("latin-1") for path in tmp_path.glob("*.*") if path.is_file())
        everything = f"{said}{logged}{kept}".upper()
        assert CANARY[:5].upper() not in everything, (marked, outcome)
        caplog.clear()
        shutil.rmtree(tmp_path / "ct")
        count["0 found"] += 1
