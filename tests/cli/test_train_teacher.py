"""`bedside train-teacher`: what a dry run shows, and the options of the paper's ablations."""

import json

from bedside.cli.main import run
from bedside.runtime import load_task
from bedside.teacher.autosam.config import AutoSamConfig


def test_a_dry_run_shows_the_cost_of_a_step_and_needs_neither_data_nor_a_run(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(["train-teacher", "--sam", "vit_nano", "--patch", "64", "64", "64", "--dry-run", "--json"]) == 0
    cost = json.loads(capsys.readouterr().out)
    assert cost["parameters"] == 2_715_360
    assert cost["trainable"] == 2_715_360
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_leaves_out_an_encoder_that_does_not_train(capsys):
    words = "train-teacher --sam vit_nano --no-train-encoder --patch 64 64 64 --dry-run --json"
    assert run(words.split()) == 0
    cost = json.loads(capsys.readouterr().out)
    assert cost["trainable"] == 1_772_928
    assert "encoder" not in cost["components"]


def test_a_dry_run_shows_the_cost_of_another_network_by_its_own_parts(capsys):
    assert run(["train-teacher", "--name", "segresnet", "--patch", "16", "8", "8", "--dry-run", "--json"]) == 0
    cost = json.loads(capsys.readouterr().out)
    assert cost["parameters"] == cost["trainable"] == 4_701_118
    assert list(cost["components"]) == ["convInit", "down_layers", "up_layers", "up_samples", "conv_final"]
    assert cost["step_flops"] > 2 * cost["forward_flops"] > 0


def test_a_dry_run_counts_the_states_of_the_optimiser_that_is_chosen(capsys):
    def states(words: str) -> float:
        assert run(f"train-teacher --sam vit_nano --patch 32 32 32 --dry-run --json {words}".split()) == 0
        memory = json.loads(capsys.readouterr().out)["memory_bytes"]
        return memory["optimiser"] / memory["gradients"]

    assert states("") == 2  # AdamW's two moments
    assert states("--optimizer sgd") == 1
    assert states("--optimizer sgd --average-weights 0.99") == 2


def test_whether_the_encoder_trains_is_an_option(asked):
    assert asked("--train-encoder")[1]["config"] == AutoSamConfig(train_encoder=True)
    assert asked("--no-train-encoder")[1]["config"] == AutoSamConfig(train_encoder=False)


def test_the_ablations_of_the_paper_are_options(asked):
    assert asked()[1]["config"] == AutoSamConfig()
    assert asked("--no-apg")[1]["config"] == AutoSamConfig(apg=False)
    assert asked("--no-mlam", "--no-apg")[1]["config"] == AutoSamConfig(apg=False, mlam=False)


def test_a_dry_run_shows_the_cost_of_an_ablation(capsys):
    command = "train-teacher --sam vit_nano --no-train-encoder --patch 32 32 32 --no-apg --no-mlam --dry-run --json"
    assert run(command.split()) == 0
    cost = json.loads(capsys.readouterr().out)
    assert (cost["parameters"], cost["trainable"]) == (1_244_512, 302_080)  # as in benchmarks/autosam_ablation
    assert "prompt generator" not in cost["components"]


def test_an_ablation_that_leaves_nothing_to_learn_from_is_refused(capsys):
    assert run(["train-teacher", "--sam", "vit_nano", "--no-mlam", "--preset", "released_code", "--dry-run"]) == 2
    assert capsys.readouterr().err.endswith('would leave most of the encoder unused; take preset "paper"\n')


def test_without_a_dry_run_data_and_output_are_needed(capsys):
    assert run(["train-teacher", "--sam", "vit_nano"]) == 2
    assert "give a data set and --output; only --dry-run does without" in capsys.readouterr().err


def test_a_data_set_that_names_no_labels_is_given_none_by_the_default_task(asked, capsys, tmp_path):
    entries = json.loads((tmp_path / "dataset.json").read_text())["training"]
    (tmp_path / "dataset.json").write_text(json.dumps({"training": entries}))
    assert asked()[0] == 3
    assert "it names no labels; give a task that does (--task;" in capsys.readouterr().err
    code, given = asked("--task", "btcv")
    assert (code, given["dataset"].labels) == (0, load_task("btcv").labels)
