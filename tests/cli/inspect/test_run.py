"""The table and the JSON of a run: its last and its best epoch."""

import json

import pytest
import torch
from bedside.cli.inspect.run import run_facts, run_tables
from bedside.cli.main import run as bedside
from bedside.training.loop.checkpoint import save_weights
from bedside.training.recipe import Recipe
from bedside.training.runs.best_weights import BestWeights, ClassOffsetsRecord
from bedside.training.runs.run import Run
from bedside.training.runs.run_config import Distillation, ModelConfig, RunConfig, TeacherRecord

NO_OFFSETS = ClassOffsetsRecord()


def test_inspect_shows_a_run_with_its_best_and_last_epoch(student_folder, capsys):
    assert bedside(["inspect", str(student_folder / "student"), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["kind"] == "run"
    assert (facts["epochs"], facts["best"]["epoch"], facts["best"]["dice"]) == (3, 1, 0.6)
    assert facts["last"]["epoch"] == 2
    assert all(isinstance(value, int | float) for value in (*facts["last"].values(), *facts["best"].values()))
    assert facts["config"]["model"]["name"] == "unet-nano"
    assert bedside(["inspect", str(student_folder / "student")]) == 0
    text = capsys.readouterr().out
    assert "unet-nano" in text
    assert "0.6" in text
    assert "dice_fat" not in text


def test_a_run_has_no_signature_to_trust(student_folder, keys, capsys):
    assert bedside(["inspect", str(student_folder / "student"), "--trust", str(keys.public)]) == 2
    assert "--trust goes with a bundle; this is a run" in capsys.readouterr().err


def keep(run, offsets=NO_OFFSETS):
    """Stores weights of a run's first epoch as its best."""
    save_weights(run.best, torch.nn.Conv3d(1, 2, 1), about=BestWeights(0, 0.5, offsets))


@pytest.fixture
def started(tmp_path, task):
    """Starts a run and logs its epochs."""

    def start(*rows):
        model = ModelConfig(kind="student", name="unet-nano")
        config = RunConfig(model=model, task=task, recipe=Recipe(), dataset="toy", data_hash="cd" * 32)
        run = Run.create(tmp_path / "run", config, resume=False)
        run.start()
        for epoch, row in enumerate(rows):
            run.log(epoch, row)
        if any("dice" in row for row in rows):
            keep(run)
        return run

    return start


@pytest.mark.parametrize(
    ("name", "options", "shown"),
    [
        (
            "self-prompt-sam",
            {"sam": "vit_nano", "train_encoder": True, "depth_position": False},
            "self-prompt-sam with vit_nano without depth tables",
        ),
        ("3d-sautomed", {"sam": "vit_b", "order": "end"}, "3d-sautomed with vit_b, from end to end"),
        ("not-installed", {"sam": "vit_b"}, "not-installed"),
    ],
)
def test_a_teacher_is_shown_with_its_sam_and_what_differs_from_the_paper(name, options, shown, tmp_path, task):
    model = ModelConfig(kind="teacher", name=name, options=options)
    config = RunConfig(model=model, task=task, recipe=Recipe(), dataset="toy", data_hash="cd" * 32)
    (table,) = run_tables(Run.create(tmp_path / "run", config, resume=False))
    assert shown in list(table.columns[1].cells)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({"lam": 1.0}, "λ = 1, no teacher"),
        ({"lam": 0.2, "names": ["sam"]}, "λ = 0.2, mse of cached targets, by sam"),
        ({"lam": 1.0, "names": ["sam"], "pseudo_labels": True}, "λ = 1, pseudo-labels, by sam"),
        (
            {"lam": 0.5, "names": ["run", "run", "sam"], "imitation": "dice-ce", "targets": "online"},
            "λ = 0.5, dice-ce of online targets, by run (00000000), run (11111111), sam",
        ),
    ],
)
def test_a_student_is_shown_with_each_of_its_teachers_and_how_they_taught(given, shown, tmp_path, task):
    names = given.pop("names", [])
    teachers = tuple(TeacherRecord(name=name, sha256=f"{number}" * 64) for number, name in enumerate(names))
    config = RunConfig(
        model=ModelConfig(kind="student", name="unet-nano"),
        distillation=Distillation(teachers=teachers, **given),
        task=task,
        recipe=Recipe(),
        dataset="toy",
        data_hash="cd" * 32,
    )
    (table,) = run_tables(Run.create(tmp_path / "run", config, resume=False))
    assert shown in list(table.columns[1].cells)


@pytest.mark.parametrize(("share", "shown"), [(0.5, ["50 % of the crops"]), (0.0, [])])
def test_the_share_of_scans_without_labels_is_shown_where_they_took_part(share, shown, tmp_path, task):
    config = RunConfig(
        model=ModelConfig(kind="student", name="unet-nano"),
        distillation=Distillation(lam=0.5, teachers=(TeacherRecord(name="sam", sha256="0" * 64),)),
        task=task,
        recipe=Recipe(unlabelled=share),
        dataset="toy",
        data_hash="cd" * 32,
    )
    (table,) = run_tables(Run.create(tmp_path / "run", config, resume=False))
    rows = zip(table.columns[0].cells, table.columns[1].cells, strict=True)
    assert [value for name, value in rows if name == "without labels"] == shown


def test_the_dice_with_class_offsets_is_shown_beside_that_of_the_epoch(started):
    run = started({"dice": 0.5})
    assert run_facts(run)["class_offsets"] == {"epochs": 0, "dice": None}
    keep(run, ClassOffsetsRecord(200, 0.625))
    assert run_facts(run)["class_offsets"] == {"epochs": 200, "dice": 0.625}
    (table,) = run_tables(run)
    assert "looked for after 200 epochs; dice 0.625 since" in list(table.columns[1].cells)


@pytest.mark.parametrize("rows", [(), ({"loss": 1.0},)])
def test_a_run_without_scores_has_no_best_epoch(started, rows):
    run = started(*rows)
    facts = run_facts(run)
    assert (facts["epochs"], facts["best"]) == (len(rows), None)
    (table,) = run_tables(run)
    assert "best" not in list(table.columns[0].cells)
    assert "none yet" in list(table.columns[1].cells)
