"""Which folders and inputs the demo refuses before it removes anything."""

import pytest
from bedside.cli.demo.folder import check_folder, check_outside, prepare_folder
from bedside.runtime.errors import UsageError


@pytest.fixture
def demo(tmp_path):
    """The folder of an earlier demo."""
    prepare_folder(tmp_path / "demo")
    return tmp_path / "demo"


def test_an_input_in_the_folder_is_refused(demo):
    with pytest.raises(UsageError, match=r'"cubes.toml" lies in the demo\'s folder ".*", whose content'):
        check_outside(demo, [demo / "data" / "cubes.toml"])
    with pytest.raises(UsageError, match="choose another folder with -o"):
        check_outside(demo, [demo])


def test_a_link_that_leads_into_the_folder_is_refused(demo, tmp_path):
    (tmp_path / "mine").symlink_to(demo / "data")
    with pytest.raises(UsageError, match=r'"scan.nii" lies in the demo\'s folder'):
        check_outside(demo, [tmp_path / "mine" / "scan.nii"])


def test_a_link_in_the_folder_is_refused_wherever_it_leads(demo, tmp_path):
    (tmp_path / "scan.nii").touch()
    (demo / "scan.nii").symlink_to(tmp_path / "scan.nii")
    with pytest.raises(UsageError, match=r'"scan.nii" lies in the demo\'s folder'):
        check_outside(demo, [demo / "scan.nii"])


def test_inputs_beside_and_above_the_folder_are_accepted(demo, tmp_path, monkeypatch):
    monkeypatch.chdir(demo)
    check_outside(demo, [tmp_path / "demo2" / "scan.nii", tmp_path, demo / "..", demo.relative_to(demo) / ".."])


@pytest.mark.parametrize("part", ["data", "teacher/second"])
def test_a_folder_in_what_another_demo_made_is_refused(demo, part):
    with pytest.raises(UsageError, match=rf'lies in "{part.split("/")[0]}" of the demo in "demo", which a demo there'):
        check_folder(demo / part)


def test_a_folder_of_ones_own_beside_what_another_demo_made_is_accepted(demo):
    check_folder(demo / "second")
    check_folder(demo)
