"""Folders of scans to segment, and the command on them."""

import nibabel as nib
import numpy as np
import pytest
import typer
from bedside.cli.options.command import typer_function
from bedside.cli.segment.command import Segment
from bedside.runtime import Segmenter
from typer.testing import CliRunner

app = typer.Typer()
app.command()(typer_function(Segment))


@pytest.fixture
def cube():
    """A function that returns a fat cube of so many voxels along each edge, in air."""

    def array(size):
        hu = np.full((20, 20, 20), -1000, np.int16)
        hu[5 : 5 + size, 5 : 5 + size, 5 : 5 + size] = 0
        return hu

    return array


@pytest.fixture
def save():
    """A function that writes an array as NIfTI file."""
    return lambda path, hu: nib.save(nib.Nifti1Image(hu, np.diag([3, 3, 3, 1])), path)


@pytest.fixture
def fat():
    """A function that counts the labelled voxels of a file."""
    return lambda path: int(np.count_nonzero(np.asarray(nib.load(path).dataobj)))


@pytest.fixture
def scans(tmp_path, cube, save):
    folder = tmp_path / "scans"
    folder.mkdir()
    save(folder / "a.nii.gz", cube(10))
    save(folder / "b.nii", cube(5))
    return folder


@pytest.fixture
def run():
    """A function that calls `bedside segment` on a folder; it raises the command's errors."""

    def call(bundle, scans, outputs, *options):
        arguments = [bundle, "-i", scans, "-o", outputs, "--engine", "onnxruntime", "--threads", 1, *options]
        done = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if isinstance(done.exception, Exception):
            raise done.exception
        return done

    return call


@pytest.fixture
def segmented(monkeypatch):
    """Names of the scans that were really segmented."""
    names = []
    real = Segmenter.reserve

    def noted(self, scan, *arguments, **options):
        names.append(scan.name)
        return real(self, scan, *arguments, **options)

    monkeypatch.setattr(Segmenter, "reserve", noted)
    return names
