"""A folder of scans in jobs of a cluster, of this machine and of a real SLURM: as on one machine."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
from bedside.cli.main import run

pytest.importorskip("submitit", reason="extra cluster")

NAMED = ("--engine", "onnxruntime", "--precision", "fp32", "--threads", "1")


@pytest.fixture
def scans(tmp_path):
    """Cubes in air of 2³, 3³ and 4³ voxels, and a file that is no scan."""
    folder = tmp_path / "scans"
    folder.mkdir()
    for size in (2, 3, 4):
        hu = np.full((20, 20, 20), -1000, np.int16)
        hu[5 : 5 + size, 5 : 5 + size, 5 : 5 + size] = 0
        nib.save(nib.Nifti1Image(hu, np.diag([3, 3, 3, 1])), folder / f"{size}.nii.gz")
    (folder / "broken.nii.gz").write_bytes(b"no scan")
    return folder


def segmented(bundle, scans, output, *more: str) -> int:
    return run(["segment", str(bundle), "-i", str(scans), "-o", str(output), *NAMED, "-q", *more])


def test_jobs_give_the_label_maps_of_one_machine_and_go_on(bundle_path, scans, tmp_path, scheduler, capsys):
    alone, jobs = tmp_path / "alone", tmp_path / "jobs"
    assert segmented(bundle_path, scans, alone) == 3  # of the file that is no scan
    words = ("--cluster", scheduler, "--workers", "2")
    assert segmented(bundle_path, scans, jobs, *words) == 3
    assert sorted(path.name for path in jobs.iterdir()) == sorted(path.name for path in alone.iterdir())
    for name in ("2.nii.gz", "3.nii.gz", "4.nii.gz"):
        assert (jobs / name).read_bytes() == (alone / name).read_bytes()
    journal = json.loads((jobs / "segment.json").read_text())
    assert {name: case["exit_code"] for name, case in journal["cases"].items()} == {
        name: case["exit_code"] for name, case in json.loads((alone / "segment.json").read_text())["cases"].items()
    }
    capsys.readouterr()
    (jobs / "3.nii.gz").unlink()
    assert segmented(bundle_path, scans, jobs, *words, "--json") == 3
    cases = json.loads(capsys.readouterr().out)["cases"]
    assert {case["name"] for case in cases if case["skipped"]} == {"2.nii.gz", "4.nii.gz"}
    assert (jobs / "3.nii.gz").read_bytes() == (alone / "3.nii.gz").read_bytes()


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--cluster", "local", "--threads", "1"], "name --engine and --precision; auto would choose"),
        (["--cluster", "local", *NAMED[:4]], "give --threads, the CPUs of each job"),
        (["--cluster", "local", *NAMED, "--partition", "p"], "--partition goes with --cluster slurm"),
        (["--cluster", "local", *NAMED, "--job-gpus", "1"], "--job-gpus: name --device"),
        (["--job-memory", "3"], "--job-memory goes with --cluster"),
    ],
)
def test_what_jobs_need_is_said(bundle_path, scans, tmp_path, capsys, words, reason):
    assert run(["segment", str(bundle_path), "-i", str(scans), "-o", str(tmp_path / "out"), *words]) == 2
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--cluster", "local", *NAMED], "--cluster goes with a folder of scans"),
        (["--job-memory", "3"], "--job-memory goes with --cluster"),
    ],
)
def test_one_scan_is_no_work_for_jobs(bundle_path, scans, tmp_path, capsys, words, reason):
    words = ["-i", str(scans / "2.nii.gz"), "-o", str(tmp_path / "out.nii.gz"), *words]
    assert run(["segment", str(bundle_path), *words]) == 2
    assert reason in capsys.readouterr().err
