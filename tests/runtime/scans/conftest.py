"""NIfTI files for the tests of reading and writing them, however wrong."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from bedside.runtime.errors import ExitCode, InputError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import read_volume


class NiftiFiles:
    """A small scan and ways to write it, for tests to use by way of the fixture `nifti`."""

    GRID = Grid((6, 5, 4), np.array([[-0.7, 0, 0, 90], [0, -0.8, 0, 120], [0, 0, 2.5, -40], [0, 0, 0, 1.0]]))
    HU = np.random.default_rng(7).integers(-1024, 1500, GRID.shape).astype(np.int16)

    @staticmethod
    def saved(folder: Path, data: np.ndarray = HU, name: str = "ct.nii.gz", **fields: object) -> Path:
        """Writes a file with nibabel, then sets header fields as they are given, however wrong."""
        image = nib.Nifti1Image(data, NiftiFiles.GRID.affine)
        image.header.set_xyzt_units("mm")
        nib.save(image, folder / "clean.nii")
        raw = bytearray((folder / "clean.nii").read_bytes())
        (folder / "clean.nii").unlink()
        header = nib.Nifti1Header(bytes(raw[:348]), check=False)
        for field, value in fields.items():
            header[field] = value
        raw[:348] = header.binaryblock
        path = folder / name
        path.write_bytes(gzip.compress(bytes(raw)) if name.endswith(".gz") else bytes(raw))
        return path

    @staticmethod
    def refused(path: Path, *words: str, **options: object) -> str:
        """Returns the message, which is one line, without the folder."""
        with pytest.raises(InputError) as caught:
            read_volume(path, **options)
        message = str(caught.value)
        assert caught.value.exit_code == ExitCode.INPUT == 3
        assert "\n" not in message
        assert str(path.parent) not in message
        for word in words:
            assert word in message
        return message


@pytest.fixture
def nifti() -> type[NiftiFiles]:
    return NiftiFiles
