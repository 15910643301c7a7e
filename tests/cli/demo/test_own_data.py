"""What the demo refuses of a data set before it removes or trains anything."""

import json

import numpy as np
import pytest
from bedside.cli.demo.own_data import divided_data
from bedside.cli.main import run
from bedside.runtime.errors import InputError, UsageError
from bedside.runtime.scans.geometry import Grid
from bedside.runtime.scans.nifti import write_volume

GRID = Grid((16, 16, 16), np.diag([4.0, 4.0, 4.0, 1.0]))
LISTS = {"training": 4, "validation": 1, "test": 1, "unlabeled": 1}
TASK = """
name = "cubes"
modality = "CT"
labels = ["background", "cube"]
spacing = [4.0, 4.0, 4.0]
orientation = "RAS"
patch = [64, 32, 32]
[intensity]
clip = [-100, 300]
scale_to = [0, 1]
"""


def image():
    values = np.full(GRID.shape, -1000, np.int16)
    values[2:14, 2:14, 2:14] = 40
    values[6:10, 6:10, 6:10] = 200
    return values


def truth(label=1):
    return (image() == 200) * np.uint8(label)


@pytest.fixture
def cubes(tmp_path):
    """A folder with a data set of seven cubes and their task."""
    folder = tmp_path / "cubes"
    folder.mkdir()
    lists = {name: [] for name in LISTS}
    for name, count in LISTS.items():
        for number in range(count):
            entry = {"image": f"{name}_{number}.nii"}
            write_volume(folder / entry["image"], image(), GRID)
            if name != "unlabeled":
                entry["label"] = f"{name}_{number}_label.nii"
                write_volume(folder / entry["label"], truth(), GRID)
            lists[name].append(entry)
    content = {"name": "cubes", "labels": {"background": 0, "cube": 1}, **lists}
    (folder / "dataset.json").write_text(json.dumps(content))
    (folder / "cubes.toml").write_text(TASK)
    return folder


def divided(cubes, *, output="demo", task=None):
    return divided_data(cubes, str(task or cubes / "cubes.toml"), cubes.parent / output, None, 0, lambda *_: None)


def test_a_data_set_in_order_is_divided_and_nothing_is_written(cubes):
    before = sorted(cubes.parent.rglob("*"))
    division = divided(cubes)
    assert (len(division.teacher), len(division.student), len(division.unlabelled)) == (3, 1, 1)
    assert sorted(cubes.parent.rglob("*")) == before


@pytest.mark.parametrize("name", ["training_0", "validation_0", "test_0", "unlabeled_0"])
def test_a_broken_scan_of_any_list_is_named(cubes, name):
    write_volume(cubes / f"{name}.nii", np.full(GRID.shape, 7, np.int16), GRID)
    with pytest.raises(InputError, match=rf'1 of 7 cases cannot be used: "{name}": .*the same value 7'):
        divided(cubes)


def test_a_test_scan_with_an_unknown_label_is_named(cubes):
    write_volume(cubes / "test_0_label.nii", truth(3), GRID)
    with pytest.raises(InputError, match=r'1 of 7 cases cannot be used: "test_0": .*expected labels 0…1, got 3'):
        divided(cubes)


def test_test_scans_without_any_organ_are_refused(cubes):
    write_volume(cubes / "test_0_label.nii", truth(0), GRID)
    with pytest.raises(InputError, match="expected an organ in at least one of the 1 test cases"):
        divided(cubes)


def test_a_patch_that_the_networks_refuse_is_refused(cubes):
    (cubes / "cubes.toml").write_text(TASK.replace("[64, 32, 32]", "[65, 32, 32]"))
    with pytest.raises(UsageError, match="needs a patch"):
        divided(cubes)


def test_a_data_set_and_a_task_in_the_demos_folder_are_refused(cubes):
    with pytest.raises(UsageError, match='"cubes" lies in the demo\'s folder'):
        divided(cubes, output="cubes")
    (cubes.parent / "demo").mkdir()
    task = (cubes / "cubes.toml").rename(cubes.parent / "demo" / "cubes.toml")
    with pytest.raises(UsageError, match=r'"cubes.toml" lies in the demo\'s folder'):
        divided(cubes, task=task)


def test_a_list_elsewhere_that_names_scans_in_the_demos_folder_is_refused(cubes):
    content = json.loads((cubes / "dataset.json").read_text())
    for name in LISTS:
        content[name] = [{kind: str(cubes / file) for kind, file in entry.items()} for entry in content[name]]
    content["channel_names"] = ["CT"]  # a MONAI data list, which may name any path
    del content["name"]
    elsewhere = cubes.parent / "list.json"
    elsewhere.write_text(json.dumps(content))
    task = (cubes / "cubes.toml").rename(cubes.parent / "cubes.toml")
    with pytest.raises(UsageError, match=r'"training_0.nii" lies in the demo\'s folder'):
        divided_data(elsewhere, str(task), cubes, None, 0, lambda *_: None)


@pytest.mark.parametrize(("labelled", "code"), [("9", 2), ("1", 3)], ids=["too few cases", "a broken case"])
def test_a_refused_data_set_leaves_an_earlier_demo_as_it_is(cubes, tmp_path, labelled, code):
    (cubes / "test_0_label.nii").write_bytes(b"")
    demo = tmp_path / "demo"
    (demo / "teacher").mkdir(parents=True)
    for name in (".bedside-demo", "report.html", "teacher/best.safetensors"):
        (demo / name).touch()
    before = sorted(demo.rglob("*"))
    own = ("--data", str(cubes), "--task", str(cubes / "cubes.toml"))
    assert run(["demo", "-o", str(demo), *own, "--labelled", labelled, "-q"]) == code
    assert sorted(demo.rglob("*")) == before
