"""`is_bundle` tells a run directory from a bundle, and refuses any other path by name."""

import pytest
from bedside.runtime.errors import InputError
from bedside.training.runs.run import Run
from bedside.training.runs.run_or_bundle import is_bundle


def test_a_run_and_a_bundle(tmp_path, config, bundle_path):
    run = Run.create(tmp_path / "run", config, resume=False)
    run.start()
    assert (is_bundle(run.path), is_bundle(bundle_path)) == (False, True)


def test_what_is_neither_is_named(tmp_path, bundle_path):
    (tmp_path / "scan.nrrd").write_bytes(b"NRRD0005\n")
    (tmp_path / "data.bin").write_bytes(b"\xff" * 400)
    for path, what in (
        (tmp_path, r"is a folder without config\.toml or bundle\.json"),
        (tmp_path / "missing", "does not exist"),
        (bundle_path / "README.md", "is a text file"),
        (tmp_path / "scan.nrrd", "is an NRRD file"),
        (tmp_path / "data.bin", "is a file of another kind"),
    ):
        with pytest.raises(InputError, match=f'a run directory or a bundle, and "{path.name}" {what}: give what was'):
            is_bundle(path)
