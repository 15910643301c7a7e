"""An output is checked before the work, without leaving or changing anything."""

import pytest
from bedside.runtime.bundles.outputs import check_outside_bundles, check_writable
from bedside.runtime.errors import ResourceError, UsageError


def test_nothing_is_left_behind_and_an_existing_file_stays(tmp_path):
    check_writable(tmp_path / "new.csv", ".csv")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old.csv").write_text("kept")
    check_writable(tmp_path / "old.csv", ".csv", ".json")
    assert (tmp_path / "old.csv").read_text() == "kept"


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"name ending in \.csv or \.json"):
        check_writable(tmp_path / "scan.nii.gz", ".csv", ".json")


@pytest.mark.parametrize("place", ["labels.nii.gz", "openvino/labels.nii.gz"])
def test_an_output_in_a_bundle_is_refused(tmp_path, place):
    (tmp_path / "student.bedside" / "openvino").mkdir(parents=True)
    for name in ("bundle.json", "bundle.sha256"):
        (tmp_path / "student.bedside" / name).touch()
    with pytest.raises(UsageError, match=r'expected a place outside the bundle "student\.bedside"'):
        check_writable(tmp_path / "student.bedside" / place)
    check_writable(tmp_path / "labels.nii.gz")


def test_a_file_without_the_marks_of_the_commands_results_is_refused_and_stays(tmp_path):
    path, marks = tmp_path / "own.csv", ("case,organ", "mm")
    for content in ("case,organ,mm\n1,2,3\n", "# earlier\ncase,organ,mm\n", ""):
        path.write_text(content)
        check_writable(path, ".csv", marks=marks)
    for content in ("case,organ\n", "case;organ;mm\n", " " * 20_000 + "case,organ,mm"):
        path.write_text(content)
        with pytest.raises(
            UsageError, match=r'output "own\.csv": expected nothing there, or an earlier result of this'
        ):
            check_writable(path, ".csv", marks=marks)
        assert path.read_text() == content
    path.write_text("not a result")
    check_writable(path, ".csv")


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ResourceError, match=r'"new\.csv": cannot be written'):
        check_writable(tmp_path / "none" / "new.csv")


def test_a_link_to_a_place_in_a_bundle_is_refused_and_a_loop_of_links_is_in_none(tmp_path):
    (tmp_path / "student.bedside").mkdir()
    for name in ("bundle.json", "bundle.sha256"):
        (tmp_path / "student.bedside" / name).touch()
    (tmp_path / "page.html").symlink_to(tmp_path / "student.bedside" / "page.html")
    with pytest.raises(UsageError, match="outside the bundle"):
        check_writable(tmp_path / "page.html", ".html")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    check_outside_bundles(tmp_path / "loop")


def test_a_folder_that_only_has_a_file_named_as_a_bundles_is_none(tmp_path):
    (tmp_path / "bundle.json").write_text("{}")
    check_writable(tmp_path / "page.html", ".html")
