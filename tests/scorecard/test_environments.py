"""Every command in every environment: it ends with the documented exit code, and its result is written."""

from __future__ import annotations

import json
import random
import sys
from dataclasses import replace

import msgspec
import nibabel as nib
import numpy as np
import pytest
from bedside.cli.main import run
from bedside.runtime.task_presets import load_task
from bedside.training.data.case_cache import CaseCache
from bedside.training.recipe import Recipe
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import ModelConfig, RunConfig

from .conftest import FULL
from .environments import ENVIRONMENTS, run_in
from .every_command import COMMANDS, SHORT, Files

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc, /dev/full and user ids as Linux has them")
STREAM_LOST = 5
LIGHT = sum(not command.long for command in COMMANDS.values())
QUICK = ("inspect", "devices", "segment --json")  # what the other environments run in `make test`


@pytest.fixture(scope="module")
def files(tmp_path_factory, toy, cube_task):
    """The files of all commands: a fat cube in air, of 10³ of 20³ voxels, and what belongs to it."""
    folder = tmp_path_factory.mktemp("environments")
    labels = np.zeros((20, 20, 20), np.uint8)
    labels[5:15, 5:15, 5:15] = 1
    for kind in ("scans", "labels"):
        (folder / kind).mkdir()
        for name in ("a", "ü"):
            voxels = labels if kind == "labels" else np.where(labels, 0, -1000).astype(np.int16)
            nib.save(nib.Nifti1Image(voxels, np.diag([4.0, 4.0, 4.0, 1.0])), folder / kind / f"{name}.nii.gz")
    cases = [{"image": f"scans/{name}.nii.gz", "label": f"labels/{name}.nii.gz"} for name in ("a", "ü")]
    content = {"name": "cubes", "labels": {"0": "background", "1": "cube"}, "training": cases[:1]}
    (folder / "dataset.json").write_text(json.dumps({**content, "validation": cases[1:]}))
    (folder / "task.toml").write_text(cube_task)
    task = msgspec.structs.replace(toy.task(spacing=(4.0, 4.0, 4.0)), labels=("background", "Fett ≥ 1 cm", "кость"))
    found = Files(
        bundle=toy.write_bundle(folder / "toy.bedside", task),
        scans=folder / "scans",
        labels=folder / "labels",
        dataset=folder / "dataset.json",
        task=folder / "task.toml",
        run=folder / "runs" / "student",
        out=folder,
    )
    make_run(found)
    return found


def make_run(files):
    """Makes the run directory: for the export a student that was trained, for a look at it only its figures."""
    if FULL:
        words = ["distill", files.dataset, "--task", files.task, "--lambda", 1, "--student", "unet-nano", *SHORT]
        assert run([*map(str, [*words, "-o", files.run]), "-q"]) == 0
        return
    config = RunConfig(
        model=ModelConfig(kind="student", name="unet-nano"),
        task=load_task(str(files.task)),
        recipe=Recipe(),
        dataset="cubes",
        data_hash="0" * 64,
    )
    made = Run.create(files.run, config, resume=False)
    made.start()
    made.log(0, {"loss": 1.0, "dice": 0.5})
    CaseCache(files.run.parent / "bedside-cases")


def share(environment):
    """Returns the commands to run in an environment: all, or one, so that every environment and command has a run."""
    if FULL:
        return list(COMMANDS)
    order = random.Random(25).sample(sorted(name for name in COMMANDS if not COMMANDS[name].long), LIGHT)
    number = list(ENVIRONMENTS).index(environment)
    return [order[number] if number < LIGHT else QUICK[number % len(QUICK)]]


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_25_every_command_does_its_work_in(name, files, tmp_path, count):
    environment = ENVIRONMENTS[name]
    for number, command_name in enumerate(share(name)):
        command, out = COMMANDS[command_name], tmp_path / str(number)
        out.mkdir()
        here = replace(files, out=out)
        ended = run_in(environment, command.words(here), out)
        expected = STREAM_LOST if environment.stdout == "full" and command.prints else command.code
        told = f"{command_name}, {name}: {ended.err.decode(errors='replace')}"
        assert ended.code == expected, told
        command.check(here)
        assert b"Traceback" not in ended.err, told
        if "--json" in command_name and environment.stdout == "read":
            assert isinstance(json.loads(ended.out.decode("utf-8")), dict), told
        count[f"exit code {expected}"] += 1
