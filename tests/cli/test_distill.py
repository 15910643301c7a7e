"""`bedside distill`: what it says of labels (sides, missing scores, ignored voxels), and whose task a student has."""

import json
import shutil

import numpy as np
import pytest
from bedside.cli.main import run
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume
from bedside.training.runs.run import Run
from safetensors.torch import load_file

SHAPE = (24, 20, 16)
TASK = """
name = "eyes"
modality = "CT"
labels = ["background", "eye L", "eye R"]
spacing = [4.0, 4.0, 4.0]
patch = [64, 32, 32]
[intensity]
clip = [-200.0, 300.0]
scale_to = [0.0, 1.0]
"""


@pytest.fixture
def arguments(tmp_path):
    """A call that trains a student for two steps on one case with a left eye; its validation case has none."""
    image, left, nothing = np.full(SHAPE, -1000, np.int16), np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    image[3:21, 3:17] = 40
    left[10:14, 8:12, 6:10] = 1
    left[14:16] = nothing[14:16] = 3
    for name, data in (("image", image), ("left", left), ("nothing", nothing)):
        write_volume(tmp_path / f"{name}.nii.gz", data, Grid(SHAPE, np.diag([4.0, 4.0, 4.0, 1.0])))
    write_volume(tmp_path / "other.nii.gz", image + 1, Grid(SHAPE, np.diag([4.0, 4.0, 4.0, 1.0])))
    content = {
        "labels": {"background": 0, "eye L": 1, "eye R": 2, "ignore": 3},
        "training": [{"image": "image.nii.gz", "label": "left.nii.gz"}],
        "validation": [{"image": "other.nii.gz", "label": "nothing.nii.gz"}],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    (tmp_path / "eyes.toml").write_text(TASK)
    return [
        "distill", str(tmp_path), "--task", str(tmp_path / "eyes.toml"), "--student", "unet-nano", "--lambda", "1",
        "-o", str(tmp_path / "run"), "--epochs", "2", "--warmup", "0", "--pictures-every", "0", "--device", "cpu",
    ]  # fmt: skip


def test_a_training_says_what_its_labels_mean_for_it(arguments, tmp_path, capfd):
    assert run(arguments) == 0
    said = capfd.readouterr()
    assert "\nleft and right are not mirrored, for labels name sides: eye L / eye R\n" in said.err
    assert "bedside: warning: in no training case: eye R; a network cannot learn" in said.err
    assert "bedside: warning: no validation case has a label: there is no score" in said.err
    assert "best mean Dice" not in said.out
    best, last = (load_file(tmp_path / "run" / f"{name}.safetensors") for name in ("best", "last"))
    assert all((best[name] == last[name]).all() for name in best)


def test_labels_change_places_in_mirrored_crops_on_request(arguments, capfd):
    assert run([*arguments, "--mirror", "0.5", "--epochs", "1"]) == 0
    assert "\nleft and right are mirrored, and labels change places: eye L / eye R\n" in capfd.readouterr().err


def test_an_earlier_student_says_task_and_lambda_where_nothing_else_does(arguments, tmp_path, capfd):
    assert run([*arguments, "--epochs", "1"]) == 0
    again = [*arguments[:2], "--init", str(tmp_path / "run"), *arguments[4:6], "-o", str(tmp_path / "again")]
    assert run([*again, *arguments[10:], "--epochs", "1"]) == 0
    config = Run.open(tmp_path / "again").config
    assert (config.task.name, config.distillation.lam) == ("eyes", 1.0)
    assert run(["inspect", str(tmp_path / "again")]) == 0
    assert f"SHA-256 {config.distillation.init[:16]}" in capfd.readouterr().out


def test_an_earlier_locator_says_the_grid_of_the_next(arguments, tmp_path):
    words = [*arguments[:2], "--student", "unet-nano", "--locator", *arguments[10:], "--epochs", "1", "-q"]
    grid = ["--task", arguments[3], "--spacing", "4", "4", "4", "--patch", "64", "32", "32"]
    assert run([*words, *grid, "-o", str(tmp_path / "first")]) == 0
    assert run([*words, "--init", str(tmp_path / "first"), "-o", str(tmp_path / "second")]) == 0
    first, second = (Run.open(tmp_path / name).config.task for name in ("first", "second"))
    assert (second.spacing, second.patch) == ((4.0, 4.0, 4.0), (64, 32, 32))
    assert first == second


@pytest.fixture
def questionable(arguments, tmp_path):
    """The same data set, whose list says MRI to a task for CT and names files that are not read."""
    content = json.loads((tmp_path / "dataset.json").read_text())
    content["modality"] = "MRI"
    content["training"][0]["dose"] = "image.nii.gz"
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    teacher = ["train-teacher", *arguments[1:4], "--sam", "vit_nano", *arguments[8:]]
    return {"distill": arguments, "train-teacher": teacher}


@pytest.mark.parametrize("command", ["distill", "train-teacher"])
def test_what_deserves_a_look_in_the_list_is_warned_of_on_stderr_alone(questionable, command, tmp_path, capfd):
    assert run([*questionable[command], "--epochs", "1", "--json"]) == 0
    captured = capfd.readouterr()
    assert 'bedside: warning: the list calls its images "MRI", and task "eyes" is for CT' in captured.err
    assert 'bedside: warning: the list also names files as "dose": only "image" and "label" are read' in captured.err
    assert json.loads(captured.out)["run"] == str(tmp_path / "run")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give --teacher, or --task and --lambda 1"),
        (["--locator"], "give --teacher, or --task\n"),
        (["--lambda", "1"], "give --teacher, or --task\n"),
        (["--sweep-lambda", "1"], "give --teacher, or --task\n"),
        (["--sweep-lambda", "0.5,1"], "λ below 1 needs a teacher: give --teacher, or --sweep-lambda 1"),
        (["--task", "btcv", "--locator", "--sweep-lambda", "0,1"], "compares students: leave --locator out"),
        (["--task", "btcv", "--student", "nope"], 'no student "nope"; expected one of'),
    ],
)
def test_a_student_needs_a_name_and_one_task(arguments, tmp_path, capfd, options, message):
    assert run(["distill", str(tmp_path), "-o", str(tmp_path / "run"), *options]) == 2
    assert message in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_folder_of_scans_that_can_teach_nothing_is_refused_not_left_out(arguments, tmp_path, capfd):
    assert run([*arguments, "--unlabelled", str(tmp_path), "-q"]) == 3  # it holds the data set's own files alone
    assert "expected scans (.nii, .nii.gz) that the data set does not list, got none" in capfd.readouterr().err
    (tmp_path / "more").mkdir()
    shutil.copy(tmp_path / "image.nii.gz", tmp_path / "more")
    assert run([*arguments, "--unlabelled", str(tmp_path / "more"), "-q"]) == 2
    assert "scans without labels need a teacher: give --teacher with" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_option_without_effect_is_refused_and_not_recorded(arguments, tmp_path, capfd):
    assert run([*arguments, "--teacher-targets", "online", "-q"]) == 2
    assert "--teacher-targets has no effect at λ = 1" in capfd.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("words", "rate"), [([], "0.0005"), (["--student", "unet-edge-base"], "0.01")])
def test_the_help_shows_the_recipe_of_the_student_named(capsys, words, rate):
    assert run(["distill", *words, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert f"Base learning rate. [default: ({rate})]" in shown


def test_a_student_trains_by_its_own_recipe_where_no_option_says_otherwise(arguments, tmp_path):
    words = [*arguments, "--student", "unet-edge-tiny", "--epochs", "1", "--loss", "dice-ce", "-q"]
    assert run(words) == 0
    recipe = Run.open(tmp_path / "run").config.recipe
    assert (recipe.lr, recipe.batch, recipe.loss, recipe.balance_classes) == (0.01, 2, "dice-ce", True)


def test_help_of_an_unknown_student_is_refused_in_one_line(capsys):
    assert run(["distill", "--student", "nope", "--help"]) == 2
    error = capsys.readouterr().err
    assert 'no student "nope"; expected one of: swinunetr-tiny' in error
    assert error.count("\n") == 1
