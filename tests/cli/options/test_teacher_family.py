"""`train-teacher` with the options of the family that it names; `tiny` is a family of an installed package."""

import json

import numpy as np
import pytest
from bedside.cli.main import run
from bedside.cli.options.command import last_given
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume
from bedside.teacher.train import load_teacher
from bedside.training.runs.run import Run

pytestmark = pytest.mark.usefixtures("tiny_networks")

NAMES = "autosam, autoprosam, 3d-sautomed, self-prompt-sam, segresnet, swinunetr, tiny"


def helped(capsys, *words):
    assert run(["train-teacher", *words, "--help"]) == 0
    return " ".join(capsys.readouterr().out.replace("│", " ").split())


@pytest.fixture
def data(tmp_path, cube_task):
    """A training scan and one for validation, of a cube, and the task."""
    entries = []
    for number in range(2):
        image, labels = np.full((20, 20, 20), 40, np.int16), np.zeros((20, 20, 20), np.uint8)
        image[:3], labels[8:12, 8:12, 6:10] = -1000, 1
        for name, array in ((f"case{number}", image), (f"label{number}", labels)):
            write_volume(tmp_path / f"{name}.nii.gz", array, Grid(array.shape, np.diag([4.0, 4.0, 4.0, 1.0])))
        entries.append({"image": f"case{number}.nii.gz", "label": f"label{number}.nii.gz"})
    listing = {"labels": ["background", "cube"], "training": entries[:1], "validation": entries[1:]}
    (tmp_path / "dataset.json").write_text(json.dumps(listing))
    (tmp_path / "cube.toml").write_text(cube_task)
    return tmp_path


def test_another_packages_family_trains_by_its_own_options_and_recipe_and_opens_again(data):
    words = f"train-teacher {data} --task {data}/cube.toml -o {data}/run --epochs 1 --warmup 0 --pictures-every 0"
    assert run([*words.split(), "--name", "tiny", "--width", "3", "--no-frozen", "--device", "cpu", "-q"]) == 0
    model, opened = load_teacher(data / "run")
    assert opened.config.model.options == {"width": 3, "frozen": False}
    assert (model[0].out_channels, model[0].weight.requires_grad) == (3, True)
    assert (opened.config.recipe.epochs, opened.config.recipe.lr) == (1, 0.01)
    assert Run.open(data / "run").config.model.name == "tiny"


def test_a_segresnet_trains_goes_on_and_opens_as_what_it_was_trained_as(data, capsys):
    words = f"train-teacher {data} --task {data}/cube.toml -o {data}/run --warmup 0 --pictures-every 0 --device cpu -q"
    words = [*words.split(), "--name", "segresnet", "--init-filters", "8", "--blocks", "1,1,1,2"]
    assert run([*words, "--epochs", "1"]) == 0
    assert run([*words, "--epochs", "2", "--resume"]) == 0
    model, opened = load_teacher(data / "run")
    assert opened.config.model.options == {"init_filters": 8, "blocks": "1,1,1,2"}
    assert len(opened.rows()) == 2
    assert opened.config.recipe.lr == 2e-4
    assert len(model.down_layers[3]) == 1 + 2
    capsys.readouterr()
    assert run([*words[:-1], "1,1,1,1", "--epochs", "2", "--resume"]) == 2
    assert "differs in: model.blocks" in capsys.readouterr().err


def test_a_3d_sautomed_trains_and_opens_as_what_it_was_trained_as(data, capsys):
    words = f"train-teacher {data} --task {data}/cube.toml -o {data}/run --warmup 0 --pictures-every 0 --device cpu -q"
    family = "--name 3d-sautomed --sam vit_nano --no-prompts --order end --epochs 1"
    assert run([*words.split(), *family.split()]) == 0
    model, opened = load_teacher(data / "run")
    assert (model.config.order, model.config.prompts, model.config.history) == ("end", False, True)
    recipe = opened.config.recipe
    assert (recipe.lr, recipe.weight_decay, recipe.batch, recipe.accumulate) == (1e-4, 1e-4, 1, 8)
    assert run([*words.split(), *family.split()[:-4], "--epochs", "2", "--resume"]) == 2
    assert "differs in: model.order" in capsys.readouterr().err


def test_a_self_prompt_sam_trains_in_two_phases_and_opens_as_what_it_was_trained_as(data, capsys):
    words = f"train-teacher {data} --task {data}/cube.toml -o {data}/run --pictures-every 0 --device cpu -q"
    family = "--name self-prompt-sam --sam vit_nano --enlarge 1 --adapter before --no-depth-position"
    assert run([*words.split(), *family.split(), "--steps-per-epoch", "1", "--epochs", "3"]) == 0
    model, opened = load_teacher(data / "run")
    assert (model.config.adapter, model.config.depth_position, model.config.enlarge) == ("before", False, 1)
    recipe = opened.config.recipe
    assert (recipe.optimizer, recipe.momentum, recipe.auxiliary_alone, recipe.accumulate) == ("sgd", 0.99, 0.2, 2)
    assert [recipe.trains_auxiliary_alone(epoch) for epoch in range(3)] == [True, False, False]
    losses = [float(row["loss"]) for row in opened.rows()]
    assert losses[0] < 0.8 * losses[1]  # the loss of the logits joins in the second epoch
    again = [*words.split(), *family.split()[:-1], "--steps-per-epoch", "1", "--epochs", "3", "--resume"]
    assert run(again) == 2
    assert "differs in: model.depth_position" in capsys.readouterr().err


def test_a_patch_too_small_for_a_swinunetr_is_refused_before_cases_are_prepared(data, capsys):
    words = (
        f"train-teacher {data} --task {data}/cube.toml --patch 32 32 32 -o {data}/run --name swinunetr --device cpu -q"
    )
    assert run(words.split()) == 2
    error = capsys.readouterr().err
    assert "in multiples of 32 voxels, one at least 64" in error
    assert error.count("\n") == 1
    assert not (data / "bedside-cases").exists()


@pytest.mark.parametrize(
    ("family", "option", "rate"),
    [
        ("segresnet", "--blocks <str> Residual blocks at the four levels of the encoder", "0.0002"),
        ("3d-sautomed", "--no-history <bool> Ablation: leave the historical information tokens out.", "0.0001"),
        ("self-prompt-sam", "--no-class-adapter <bool> Ablation: leave the multi-class adapter out.", "0.01"),
        ("swinunetr", "--window <int> Tokens along each side of an attention window. [default: 7]", "0.0001"),
        ("autosam", "--train-encoder --no-train-encoder <bool> Train SAM's own weights too, or only", "0.0005"),
    ],
)
def test_help_shows_the_options_of_our_own_families(capsys, family, option, rate):
    shown = helped(capsys, "--name", family)
    assert option in shown
    assert f"[default: ({rate})]" in shown


def test_help_shows_the_options_and_the_recipe_of_the_family_named(capsys):
    default, tiny = helped(capsys), helped(capsys, "--name", "tiny")
    assert "Another family has other options: see --name FAMILY --help." in default
    assert "--sam " in default
    assert "--width" not in default
    assert "--sam " not in tiny
    assert "--width <int> Channels between the two convolutions. [default: 2]" in tiny
    assert "--no-frozen <bool> Train the first convolution too." in tiny
    assert "Number of epochs. [default: (3)]" in tiny
    assert "Number of epochs. [default: (200)]" in default


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--name tiny --sam vit_b", "No such option: --sam"),
        ("--width 3", "No such option: --width"),
        ("--name=tiny --width 99", "width: expected a whole number from 1 to 16, got 99"),
        ("--name nope", f'no teacher "nope"; expected one of: {NAMES}'),
        ("--name nope --help", f'no teacher "nope"; expected one of: {NAMES}'),
        ("--depth-axis d", 'depth_axis: expected z, y, x, got "d"'),
        ("--name", "Option '--name' requires an argument"),
    ],
)
def test_what_the_family_does_not_accept_is_refused_in_one_line(capsys, words, message):
    assert run(["train-teacher", "--dry-run", *words.split()]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("words", ["--name tiny", "--name=tiny"])
def test_a_dry_run_predicts_the_cost_of_the_family_named(capsys, words):
    assert run(["train-teacher", *words.split(), "--patch", "32", "32", "32", "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["parameters"] == 27 * 2 + 2 + 2 * 14 + 14
    assert told["components"] == {"2": 2 * 14 + 14}  # the first convolution is frozen


@pytest.mark.parametrize("axis", ["z", "y", "x"])
def test_the_depth_axis_reaches_the_network(capsys, axis):
    words = f"train-teacher --sam vit_nano --patch 64 32 32 --depth-axis {axis} --dry-run --json"
    assert run(words.split()) == 0
    rows = {"z": 8, "y": 8, "x": 16}[axis]  # of the depth table: a token is 4 voxels
    assert json.loads(capsys.readouterr().out)["components"]["depth table"] == rows * 96


@pytest.mark.parametrize(
    ("words", "family"),
    [
        ([], "autosam"),
        (["data", "--name", "tiny"], "tiny"),
        (["--name=tiny", "--width", "3"], "tiny"),
        (["--name", "autosam", "--name", "tiny"], "tiny"),
    ],
)
def test_the_family_is_the_last_one_named(words, family):
    assert last_given(words, "--name", "autosam") == family
