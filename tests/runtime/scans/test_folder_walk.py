"""A walk through a folder finds each file once, also behind links."""

from __future__ import annotations

import pytest
from bedside.runtime.scans.folder_walk import walk_folder


def raised(error):
    raise error


def names(folder):
    return [[file.relative_to(folder).as_posix() for file in files] for files in walk_folder(folder, raised)]


def test_files_come_in_the_order_of_their_names_folder_by_folder(tmp_path):
    for file in ("b", "a", "two/d", "one/c"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert names(tmp_path) == [["a", "b"], ["one/c"], ["two/d"]]


def test_a_linked_folder_is_walked_through_once_and_a_circle_ends(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "a").touch()
    (tmp_path / "case").mkdir()
    for link in ("part1", "part2"):
        (tmp_path / "case" / link).symlink_to(tmp_path / "store")
    (tmp_path / "store" / "back").symlink_to(tmp_path / "case")
    assert names(tmp_path / "case") == [[], ["part1/a"]]


def test_a_link_that_leads_nowhere_is_a_file(tmp_path):
    (tmp_path / "gone").symlink_to("nowhere")
    assert names(tmp_path) == [["gone"]]


def test_what_cannot_be_read_is_said(tmp_path):
    with pytest.raises(FileNotFoundError):
        names(tmp_path / "gone")
