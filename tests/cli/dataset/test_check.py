"""`bedside dataset check`: what a person reads, what a machine reads, and the exit code."""

import json

import numpy as np
import pytest
from bedside.cli.main import run
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume

SHAPE = (24, 20, 16)


@pytest.fixture
def task(tmp_path, cube_task):
    (tmp_path / "cube.toml").write_text(cube_task)
    return str(tmp_path / "cube.toml")


@pytest.fixture
def dataset(tmp_path):
    """Two cases of 24×20×16 voxels of 4 mm."""
    folder = tmp_path / "data"
    folder.mkdir()
    entries = []
    for number in range(2):
        image, labels = np.full(SHAPE, -1000, np.int16), np.zeros(SHAPE, np.uint8)
        image[3:21, 3:17] = 40 + number
        labels[10:14, 8 + number : 12, 6:10] = 1
        for name, data in ((f"case{number}", image), (f"case{number}_label", labels)):
            write_volume(folder / f"{name}.nii.gz", data, Grid(SHAPE, np.diag([4.0, 4.0, 4.0, 1.0])))
        entries.append({"image": f"case{number}.nii.gz", "label": f"case{number}_label.nii.gz"})
    labels = {"0": "background", "1": "cube"}
    (folder / "dataset.json").write_text(json.dumps({"name": "cubes", "labels": labels, "training": entries}))
    return folder


def damage(dataset):
    content = (dataset / "case1.nii.gz").read_bytes()
    (dataset / "case1.nii.gz").write_bytes(content[:-20])


def test_a_data_set_in_order_is_summed_up_and_the_exit_code_is_0(dataset, task, capfd):
    assert run(["dataset", "check", str(dataset), "--task", task]) == 0
    shown = capfd.readouterr().out
    assert "2 training, 0 validation, 0 test" in shown
    assert "24 × 20 × 16" in shown
    assert "4 × 4 × 4 mm" in shown
    assert "1 % below 40, median 40, 1 % above 40; the task's -200…300 cuts 0.0 %" in " ".join(
        shown.replace("│", " ").split()
    )
    assert "2 of 2 cases can be used" in shown
    assert "cases to look at" not in shown.lower()


def test_a_broken_case_is_in_the_table_and_the_exit_code_is_3(dataset, task, capfd):
    damage(dataset)
    assert run(["dataset", "check", str(dataset), "--task", task]) == 3
    shown = capfd.readouterr().out
    assert "case1" in shown
    assert "truncated gzip file" in shown
    assert "1 of 2 cases can be used, 1 are broken" in shown


def test_warnings_alone_give_6(dataset, task, capfd):
    labels = np.zeros(SHAPE, np.uint8)
    write_volume(dataset / "case1_label.nii.gz", labels, Grid(SHAPE, np.diag([4.0, 4.0, 4.0, 1.0])))
    assert run(["dataset", "check", str(dataset), "--task", task]) == 6
    assert "the label map is empty" in " ".join(capfd.readouterr().out.replace("│", " ").split())


def test_json_is_one_object_with_everything_and_nothing_else_on_stdout(dataset, task, capfd):
    damage(dataset)
    assert run(["dataset", "check", str(dataset), "--task", task, "--json", "--workers", "2"]) == 3
    captured = capfd.readouterr()
    found = json.loads(captured.out)
    assert (found["name"], found["task"], found["exit_code"]) == ("cubes", "cube", 3)
    assert [case["name"] for case in found["cases"]] == ["case0", "case1"]
    assert found["cases"][0]["facts"]["volumes_ml"] == {"1": pytest.approx(64 * 0.064)}
    assert "truncated" in found["cases"][1]["problems"][0]
    assert 'bedside: warning: case1: "case1.nii.gz": truncated gzip file' in captured.err


def test_quiet_still_names_what_is_broken(dataset, task, capfd):
    damage(dataset)
    assert run(["dataset", "check", str(dataset), "--task", task, "-q"]) == 3
    captured = capfd.readouterr()
    assert captured.out == ""
    assert len(captured.err.strip().splitlines()) == 1


def test_sides_and_the_ignore_label_are_facts_of_the_data_set(dataset, capfd):
    listed = json.loads((dataset / "dataset.json").read_text())
    listed["labels"] = {"0": "background", "1": "ear_l", "2": "ear_r", "3": "ignore"}
    (dataset / "dataset.json").write_text(json.dumps(listed))
    labels = np.zeros(SHAPE, np.uint8)
    labels[10:14, 8:12, 6:10], labels[10:14, 8:12, 10:14], labels[:, :, :4] = 1, 2, 3
    for number in range(2):
        grid = Grid(SHAPE, np.diag([4.0, 4.0, 4.0, 1.0]))
        write_volume(dataset / f"case{number}_label.nii.gz", labels + np.uint8(0), grid)
    run(["dataset", "check", str(dataset)])
    shown = " ".join(capfd.readouterr().out.replace("│", " ").split())
    assert "sides ear_l / ear_r: left and right are not mirrored in training" in shown
    assert "ignored label 3 is the ignore label: 25 % of the voxels are left out of loss and scores" in shown


def test_without_a_task_the_data_sets_own_labels_are_taken(dataset, capfd):
    assert run(["dataset", "check", str(dataset)]) == 0
    assert "the task" not in capfd.readouterr().out


def test_a_name_cannot_command_the_terminal(dataset, task, capfd):
    (dataset / "case1.nii.gz").rename(dataset / "x\x1b[31m[red].nii.gz")
    listed = json.loads((dataset / "dataset.json").read_text())
    listed["training"][1]["image"] = "x\x1b[31m[red].nii.gz"
    (dataset / "dataset.json").write_text(json.dumps(listed))
    (dataset / "case1_label.nii.gz").unlink()
    for words in ((), ("-q",)):
        assert run(["dataset", "check", str(dataset), "--task", task, *words]) == 3
        captured = capfd.readouterr()
        assert "\x1b[31m" not in captured.out + captured.err
        assert "x?[31m[red]" in captured.out + captured.err


def test_a_list_that_is_not_there_is_one_line(tmp_path, capfd):
    assert run(["dataset", "check", str(tmp_path)]) == 3
    assert capfd.readouterr().err.count("\n") == 1


def test_nothing_is_written(dataset, task):
    before = sorted(path.name for path in dataset.rglob("*"))
    run(["dataset", "check", str(dataset), "--task", task])
    assert sorted(path.name for path in dataset.rglob("*")) == before


def relist(dataset, **changes):
    content = json.loads((dataset / "dataset.json").read_text())
    (dataset / "dataset.json").write_text(json.dumps({**content, **changes}))


def further(dataset, *names):
    """Writes files of different content; nobody reads scans without labels here."""
    for name in names:
        (dataset / name).write_text(name)


def shown(capfd):
    return " ".join(capfd.readouterr().out.replace("│", " ").split())


def test_unlabelled_scans_are_counted_and_stop_nothing(dataset, task, capfd):
    further(dataset, "a.nii.gz", "b.nii.gz")
    relist(dataset, unlabeled=["a.nii.gz", {"image": "b.nii.gz"}])
    assert run(["dataset", "check", str(dataset), "--task", task]) == 0
    assert "2 training, 0 validation, 0 test, 2 unlabelled (only compared)" in shown(capfd)


def test_unlabelled_scans_that_do_not_exist_are_a_warning(dataset, task, capfd):
    further(dataset, "a.nii.gz")
    relist(dataset, unlabeled=["a.nii.gz", "gone.nii.gz"])
    assert run(["dataset", "check", str(dataset), "--task", task]) == 6
    assert "1 of 2 unlabelled scans do not exist" in shown(capfd)


def test_layout_and_another_word_for_background_are_shown_without_a_warning(dataset, task, capfd):
    relist(dataset, labels={"BG": 0, "cube": 1})
    assert run(["dataset", "check", str(dataset), "--task", task]) == 0
    text = shown(capfd)
    assert "layout MONAI data list" in text
    assert 'label 0, "BG", is taken as background' in text


@pytest.mark.parametrize(("word", "code"), [("MRI", 6), ("T1", 6), ("CT", 0), ("ct", 0), ("PET", 0)])
def test_a_list_of_another_modality_than_the_tasks_is_a_warning(dataset, task, capfd, word, code):
    relist(dataset, modality={"0": word})
    assert run(["dataset", "check", str(dataset), "--task", task]) == code
    said = f'the list calls its images "{word}", and task "cube" is for CT; choose a task for MR, or correct the list'
    assert (said in shown(capfd)) == (code == 6)


def test_a_fold_that_is_not_there_is_a_usage_error(dataset, task, capfd):
    assert run(["dataset", "check", str(dataset), "--task", task, "--fold", "0"]) == 2
    told = capfd.readouterr().err
    assert 'it has no "fold" in its list, and no splits_final.json' in told
    assert "--validation-fraction" not in told  # which this command does not have


def test_the_lists_of_the_real_data_are_read_cleanly(real_data, tmp_path):
    for name in ("headneck", "hippocampus"):
        content = json.loads((real_data / name / "dataset.json").read_text())
        kept = {}
        for part in ("training", "validation", "test", "unlabeled"):
            kept[part] = [
                {key: str(real_data / name / value) for key, value in entry.items()}
                for entry in (each if isinstance(each, dict) else {"image": each} for each in content.get(part, [])[:2])
            ]
        (tmp_path / f"{name}.json").write_text(json.dumps({"labels": content["labels"], **kept}))
        words = ["--task", str(real_data / name / "task.toml"), "-q"]
        assert run(["dataset", "check", str(tmp_path / f"{name}.json"), *words]) == 0
