"""A whole sweep of one-step trainings in processes of their own: interrupted, resumed, repeated, with a failing run."""

import json
import shutil
from dataclasses import replace

import pytest
from bedside.distill import sweep_lambda
from bedside.distill.sweep import scoring, sweep
from bedside.distill.sweep.plan import plan_runs
from bedside.distill.sweep.sweep import SweepFailedError
from bedside.processes.cluster import Cluster
from bedside.runtime.errors import ExitCode, InputError, UsageError
from bedside.runtime.files.hashing import file_sha256
from bedside.training.runs.run import Run


def call(cubes, out, started=None, **changes):
    """Sweeps over λ = 0.5 and 1 with seed 0."""
    given = {"lambdas": (0.5, 1), "seeds": (0,), "arguments": cubes.arguments, "device": "cpu", **changes}
    return sweep_lambda(cubes.dataset, out, started=started, **given)


@pytest.fixture(scope="module")
def swept(cubes, tmp_path_factory):
    """A sweep that was interrupted before its second training and went on: its folder, what it started, its results."""
    out = tmp_path_factory.mktemp("sweeps") / "sweep"
    begun = []

    def interrupt(name, number, total):
        if number == 2:
            raise KeyboardInterrupt
        begun.append(name)

    with pytest.raises(KeyboardInterrupt):
        call(cubes, out, interrupt)
    results = call(cubes, out, lambda name, number, total: begun.append((name, number, total)), resume=True)
    return out, begun, results


def test_a_resumed_sweep_trains_only_what_is_missing(swept):
    _, begun, results = swept
    assert begun == ["lambda-0.5_seed-0", ("lambda-1_seed-0", 1, 1)]
    assert [row.lam for row in results.rows] == [0.5, 1.0]
    assert results.failed == {}


def test_every_training_is_an_ordinary_run_with_its_own_configuration(swept, cubes):
    configs = [Run.open(run.path).config for run in plan_runs(swept[0], (0.5, 1), (0,))]
    assert [config.distillation.lam for config in configs] == [0.5, 1.0]
    assert [len(config.distillation.teachers) for config in configs] == [1, 0]
    assert all(config.model.name == "unet-nano" and config.recipe.epochs == 1 for config in configs)


def test_the_trainings_share_the_cases_beside_the_folder(swept):
    out, _, _ = swept
    shared = out.parent / "bedside-cases"
    assert len(list(shared.glob("*/teacher-*/blocks.npy"))) == 2  # the training case's and the validation case's
    assert len([path for path in shared.iterdir() if path.is_dir()]) == 2
    assert not (out / "bedside-cases").exists()


def test_the_folder_has_the_table_and_each_run_its_scores(swept):
    out, _, results = swept
    assert {path.name for path in out.iterdir() if path.is_file()} == {"sweep.md", "sweep.csv", "sweep.png"}
    assert all((run.path / "scores.csv").exists() for run in plan_runs(out, (0.5, 1), (0,)))
    assert results.case_list == "test"
    assert results.cases == ("image_test_0", "image_test_1")


def test_the_same_sweep_again_computes_nothing(swept, cubes, monkeypatch):
    out, _, results = swept
    monkeypatch.setattr(scoring, "segment_scan", None)
    assert call(cubes, out, lambda *_: pytest.fail("a training was started"), resume=True) == results


def test_without_resume_a_sweep_is_not_repeated(swept, cubes):
    with pytest.raises(UsageError, match="add --resume to go on with a sweep"):
        call(cubes, swept[0])


def test_failed_runs_are_named_and_the_others_compared(swept, cubes, tmp_path, monkeypatch):
    out = shutil.copytree(swept[0], tmp_path / "sweep")
    monkeypatch.setattr(
        "bedside.processes.child._COMMAND",  # the finished run's options are checked, those of seed 1 train
        "import sys; sys.exit(0 if 'seed-0' in ' '.join(sys.argv) else 3 if '0.5' in sys.argv else 5)",
    )
    results = call(cubes, out, resume=True, seeds=(0, 1))
    assert results.failed == {"lambda-0.5_seed-1": 3, "lambda-1_seed-1": 5}
    assert [list(row.by_seed) for row in results.rows] == [[0], [0]]
    assert "Failed and left out: lambda-0.5_seed-1, lambda-1_seed-1." in (out / "sweep.md").read_text()
    error = SweepFailedError(results.failed)
    assert error.exit_code is ExitCode.INPUT
    assert str(error).startswith('"lambda-0.5_seed-1" ended with exit code 3; "lambda-1_seed-1" ended with exit code 5')


def test_a_sweep_without_a_finished_run_fails_with_the_first_exit_code(cubes, tmp_path, monkeypatch):
    monkeypatch.setattr("bedside.processes.child._COMMAND", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(SweepFailedError, match="was killed by signal 9") as failed:
        call(cubes, tmp_path / "sweep")
    assert failed.value.exit_code is ExitCode.RESOURCE
    assert not (tmp_path / "sweep" / "sweep.md").exists()


def test_other_options_are_refused_before_anything_trains_or_is_scored(swept, cubes, tmp_path, monkeypatch, capfd):
    out = shutil.copytree(swept[0], tmp_path / "sweep")
    monkeypatch.setattr(scoring, "segment_scan", None)
    changed = {"arguments": [*cubes.arguments, "--lr", "0.25", "--epochs", "3"], "epochs": 3, "lambdas": (0.2, 0.5, 1)}
    with pytest.raises(UsageError, match=r'"lambda-0.5_seed-0" was made with different options, see the message'):
        call(cubes, out, lambda *_: pytest.fail("a training was started"), resume=True, **changed)
    assert "(differs in: recipe.lr)" in capfd.readouterr().err


def test_without_a_finished_run_other_options_are_refused_before_another_run_begins(swept, cubes, tmp_path, capfd):
    out = shutil.copytree(swept[0], tmp_path / "sweep")
    shutil.rmtree(out / "lambda-1_seed-0")
    (out / "lambda-0.5_seed-0" / "metrics.csv").unlink()
    begun = []
    with pytest.raises(
        UsageError, match=r'"lambda-0\.5_seed-0" ended with exit code 2, .*: if the options differ, .*; if'
    ):
        call(cubes, out, lambda *each: begun.append(each), resume=True, arguments=[*cubes.arguments, "--lr", "0.25"])
    assert "(differs in: recipe.lr)" in capfd.readouterr().err
    assert begun == [("lambda-0.5_seed-0", 1, 2)]
    assert not (out / "lambda-1_seed-0").exists()


def test_begun_runs_that_fail_otherwise_do_not_keep_the_others_from_training(swept, cubes, tmp_path, monkeypatch):
    out = shutil.copytree(swept[0], tmp_path / "sweep")
    shutil.rmtree(out / "lambda-0.5_seed-0")
    (out / "lambda-1_seed-0" / "metrics.csv").unlink()
    script = "import sys; sys.exit(5 if '--lambda 1 ' in ' '.join(sys.argv) else 3)"
    monkeypatch.setattr("bedside.processes.child._COMMAND", script)
    begun = []
    with pytest.raises(SweepFailedError):
        call(cubes, out, lambda *each: begun.append(each), resume=True)
    assert begun == [("lambda-1_seed-0", 1, 2), ("lambda-0.5_seed-0", 2, 2)]


def test_begun_runs_go_on_first_and_the_others_are_counted_with_them(swept, cubes, tmp_path, monkeypatch):
    out = shutil.copytree(swept[0], tmp_path / "sweep")
    shutil.rmtree(out / "lambda-0.5_seed-0")
    (out / "lambda-1_seed-0" / "metrics.csv").unlink()
    script = "import sys; sys.exit('--lambda 1 ' not in ' '.join(sys.argv))"  # λ = 1 succeeds, the others fail
    monkeypatch.setattr("bedside.processes.child._COMMAND", script)
    begun = []
    call(cubes, out, lambda *each: begun.append(each), resume=True, lambdas=(0, 0.5, 1))
    assert begun == [("lambda-1_seed-0", 1, 3), ("lambda-0_seed-0", 2, 3), ("lambda-0.5_seed-0", 3, 3)]


def test_class_offsets_that_are_asked_for_later_are_found_for_every_run(swept, cubes, tmp_path):
    out = shutil.copytree(swept[0], tmp_path / "sweep")
    runs = plan_runs(out, (0.5, 1), (0,))
    begun = []
    words = [*cubes.arguments, "--class-offsets"]
    call(cubes, out, lambda name, *_: begun.append(name), resume=True, arguments=words)
    assert begun == [run.name for run in runs]
    assert all(Run.open(run.path).best_weights().class_offsets.epochs == 1 for run in runs)


def test_a_test_case_that_cannot_be_scored_is_refused_before_anything_trains(cubes, tmp_path):
    label = tmp_path / "label.nii.gz"
    label.write_bytes(b"no label map")
    first, *others = cubes.dataset.test
    dataset = replace(cubes.dataset, test=(replace(first, label=label), *others))
    with pytest.raises(InputError, match=r"^1 of 2 cases cannot be used: .*label.nii.gz"):
        sweep_lambda(
            dataset, tmp_path / "sweep", lambdas=(1,), seeds=(0,), arguments=cubes.arguments, device="cpu",
            started=lambda *_: pytest.fail("a training was started"),
        )  # fmt: skip


def test_a_finished_run_is_asked_without_being_made_longer(swept, cubes, tmp_path, monkeypatch):
    out = shutil.copytree(swept[0], tmp_path / "sweep")
    told = tmp_path / "told.txt"
    monkeypatch.setattr(
        "bedside.processes.child._COMMAND",
        f"import sys; print(*sys.argv, file=open({str(told)!r}, 'a')); sys.exit(1)",
    )
    with pytest.raises(SweepFailedError, match="ended with exit code 1"):
        call(cubes, out, resume=True, arguments=[*cubes.arguments, "--epochs", "3"], epochs=3)
    (line,) = told.read_text().splitlines()
    assert line.split()[-5:] == ["--resume", "--epochs", "1", "--device", "cpu"]


def test_the_folder_of_prepared_cases_may_be_another(cubes, tmp_path, monkeypatch):
    told = tmp_path / "told.txt"
    monkeypatch.setattr(
        "bedside.processes.child._COMMAND", f"import sys; open({str(told)!r}, 'w').write(' '.join(sys.argv))"
    )
    with pytest.raises(InputError):  # the child trains nothing
        call(cubes, tmp_path / "sweep", lambdas=(1,), arguments=[*cubes.arguments, "--cases", "mine"])
    words = told.read_text().split()
    assert [words[place + 1] for place, word in enumerate(words) if word == "--cases"] == [
        str(tmp_path / "bedside-cases"),
        "mine",  # the last one counts
    ]


def test_runs_that_learned_from_a_scored_scan_are_named_in_the_log_and_the_table(swept, cubes, tmp_path, caplog):
    out = shutil.copytree(swept[0], tmp_path / "sweep")
    assert swept[2].doubts == ()
    record = out / "lambda-0.5_seed-0" / "learned_from.json"
    scans = json.loads(record.read_text())
    scans["sha256"].append(file_sha256(cubes.dataset.test[0].image))
    record.write_text(json.dumps(scans))
    (doubt,) = call(cubes, out, resume=True).doubts
    assert doubt.startswith("1 of the 2 test scans, or copies of them, are among those from which lambda-0.5_seed-0 ")
    assert doubt in caplog.text
    assert doubt in (out / "sweep.md").read_text()


def test_a_scored_scan_that_chose_the_epoch_of_a_teacher_is_told_of_finished_runs_too(swept, cubes, tmp_path):
    out, teacher = (shutil.copytree(path, tmp_path / path.name) for path in (swept[0], cubes.teacher))
    scans = json.loads((teacher / "learned_from.json").read_text())
    scans["validation"].append(file_sha256(cubes.dataset.test[0].image))
    (teacher / "learned_from.json").write_text(json.dumps(scans))
    words = [str(teacher) if word == str(cubes.teacher) else word for word in cubes.arguments]
    (doubt,) = call(cubes, out, resume=True, arguments=words).doubts
    assert doubt.startswith(f"1 of the 2 test scans, or copies of them, are validation scans of {teacher.name}, or of ")
    assert doubt in (out / "sweep.md").read_text()


def test_a_device_that_this_machine_lacks_is_refused_before_anything_trains(cubes, tmp_path, monkeypatch):
    monkeypatch.setattr(sweep, "run_trainings", None)
    with pytest.raises(UsageError, match='this machine has no device "cuda"; take --device auto'):
        call(cubes, tmp_path / "sweep", device="cuda")


def test_of_a_clusters_device_this_machine_scores_on_what_it_has(tmp_path):
    cluster = Cluster(scheduler="local", jobs=1, threads=1, folder=tmp_path)
    assert sweep._scoring_device("cuda", cluster) == "auto"
    assert sweep._scoring_device("cpu", cluster) == "cpu"


@pytest.mark.parametrize(("codes", "advised"), [({"a": 2}, False), ({"a": 2, "b": 3}, True)])
def test_what_a_resumed_run_would_refuse_again_is_not_advised_to_be_resumed(codes, advised):
    assert ("add --resume" in str(SweepFailedError(codes))) is advised


def test_a_teacher_that_learned_from_a_scored_scan_is_named_before_anything_trains(cubes, tmp_path, caplog):
    def begin(*_):
        raise KeyboardInterrupt

    changed = replace(cubes, dataset=replace(cubes.dataset, test=cubes.dataset.training))
    with pytest.raises(KeyboardInterrupt):
        call(changed, tmp_path / "sweep", begin)
    assert f"1 of the 1 test scans, or copies of them, are among those from which {cubes.teacher.name} " in caplog.text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "data"}, 'dataset: expected a Dataset, got "data"; read one with load_dataset'),
        ({"out": None}, "out: expected a path"),
        ({"lambdas": (0.5, 2)}, "lambda: expected a number in 0…1, got 2"),
        ({"seeds": ()}, "expected at least one seed"),
        ({"arguments": "data"}, 'arguments: expected a list of names, got "data"'),
        ({"jobs": 0}, "jobs: expected a whole number from 1 up, got 0"),
        ({"resume": "no"}, 'resume: expected True or False, got "no"'),
        ({"epochs": 0}, "epochs: expected a whole number from 1 up, got 0"),
        ({"device": ""}, "device: expected a text"),
        ({"started": 1}, "started: expected a function"),
        ({"scoring": 1}, "scoring: expected a function"),
    ],
)
def test_wrong_arguments_are_refused_before_a_training_starts(cubes, tmp_path, changes, message):
    given = {"dataset": cubes.dataset, "out": tmp_path / "sweep", "lambdas": (1,), "arguments": cubes.arguments}
    with pytest.raises(UsageError, match=message):
        sweep_lambda(**{**given, **changes})
    assert not (tmp_path / "sweep").exists()
