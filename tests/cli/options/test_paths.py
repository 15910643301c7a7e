"""Inputs that may not be read are refused by the family they belong to, whoever runs the tests."""

import errno
import inspect
import os
from pathlib import Path
from typing import get_args

import pytest
from bedside.cli.main import command_group, run
from bedside.cli.options.paths import check_readable
from bedside.runtime import BundleError, InputError

from ...system_calls import replace_call


@pytest.fixture
def closed(tmp_path, monkeypatch):
    """A file and a folder that nobody may read, root included."""
    file, folder = tmp_path / "ct.nii.gz", tmp_path / "folder"
    file.touch()
    folder.mkdir()
    allowed, status = os.access, os.stat

    def refusing_stat(path, *words, **options):
        if folder in Path(path).parents:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return status(path, *words, **options)

    replace_call(monkeypatch, os, "access", lambda path, *mode: path not in (file, folder) and allowed(path, *mode))
    replace_call(monkeypatch, os, "stat", refusing_stat)
    return file, folder, folder / "inside.nii.gz"


def test_a_file_that_may_not_be_read_is_refused_with_the_system_s_reason(closed):
    for path in closed:
        for family in (InputError, BundleError):
            with pytest.raises(family, match=rf'^"{path.name}": cannot be read \(Permission denied\); check the path'):
                check_readable(path, family)


def test_what_is_missing_or_in_order_is_left_to_the_command(tmp_path):
    assert check_readable(None, InputError) is None
    for path in (tmp_path, tmp_path / "missing", Path(__file__), Path(__file__) / "below a file"):
        assert check_readable(path, InputError) == path


def test_a_name_that_no_system_takes_is_refused(tmp_path):
    with pytest.raises(InputError, match="File name too long"):
        check_readable(tmp_path / ("x" * 300), InputError)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("segment {bundle} -i {file} -o {out}", 3),
        ("segment {bundle} -i {inside} -o {out}", 3),
        ("segment {bundle} -i {folder} -o {out}", 3),
        ("segment {file} -i {bundle} -o {out}", 4),
        ("benchmark {file}", 4),
        ("benchmark {bundle} -i {file}", 3),
        ("evaluate -p {file} -t {bundle}", 3),
        ("evaluate -p {bundle} -t {folder}", 3),
        ("evaluate -p {bundle} --dataset {file}", 3),
        ("evaluate -p {bundle} -t {bundle} --compare {file}", 3),
        ("dataset check {file}", 3),
        ("dataset prepared {folder}", 3),
        ("train-teacher {folder} -o {out}", 3),
        ("train-teacher {bundle} --checkpoint {file} -o {out}", 3),
        ("distill {file} -o {out}", 3),
        ("distill {bundle} --teacher {folder} -o {out}", 3),
        ("export {folder} -o {out}", 3),
        ("export {bundle} --calibration {file} -o {out}", 3),
        ("inspect {file}", 3),
    ],
)
def test_every_command_refuses_what_it_may_not_read(closed, tmp_path, capfd, words, code):
    file, folder, inside = closed
    (tmp_path / "toy").mkdir()
    places = {"file": file, "folder": folder, "inside": inside, "bundle": tmp_path / "toy", "out": tmp_path / "out"}
    assert run(words.format(**places).split()) == code
    assert "cannot be read (Permission denied)" in capfd.readouterr().err


def path_options(group):
    for name, each in group.commands.items():
        if hasattr(each, "commands"):
            yield from path_options(each)
            if not hasattr(each, "default"):
                continue
            each = each.default
        function = each.load().callback.__wrapped__  # without what typer adds
        for option, parameter in inspect.signature(function, eval_str=True).parameters.items():
            kind, *described = get_args(parameter.annotation) or (None,)
            if kind is Path or Path in get_args(kind):
                yield f"{name} {option}", described[0]


def test_no_command_leaves_the_look_at_a_file_to_the_parser():
    found = dict(path_options(command_group()))
    assert len(found) >= 20
    assert [option for option, described in found.items() if described.readable] == []


@pytest.mark.parametrize(
    "words",
    [
        "phantom {bundle}",
        "phantom {bundle}/data",
        "train-teacher {data} -o {bundle}/run",
        "distill {data} -o {bundle}/run --cases {data}",
        "distill {data} -o {data}/run --cases {bundle}",
        "export {data} -o {bundle}/inner.bedside",
        "export {data} -o {data}/new.bedside --page {bundle}/page.html",
        "plan {bundle} --device orin-nano-8 --html {bundle}/plan.html",
        "benchmark {bundle} --csv {bundle}/figures.csv",
        "devices probe -o {bundle}/probe.json",
        "demo -o {bundle}/demo",
        "serve {bundle} --folder {bundle}",
    ],
)
def test_no_command_writes_into_a_bundle_which_would_be_refused_with_another_file(tmp_path, capfd, words):
    (tmp_path / "toy.bedside").mkdir()
    for name in ("bundle.json", "bundle.sha256"):
        (tmp_path / "toy.bedside" / name).touch()
    assert run(words.format(bundle=tmp_path / "toy.bedside", data=tmp_path).split()) == 2
    assert 'expected a place outside the bundle "toy.bedside"' in capfd.readouterr().err
    assert {path.name for path in tmp_path.rglob("*")} == {"toy.bedside", "bundle.json", "bundle.sha256"}


@pytest.mark.parametrize(
    "words",
    [
        "phantom {loop}",
        "export {data} -o {loop}",
        "segment {data} -i {data} -o {loop}",
        "segment {data} -i {data} -o {data}/x.nii.gz --record {loop}",
        "segment {data} -i {data} -o {data}/x.dcm --sr {loop}",
        "evaluate -p {data} -t {data} --compare {data} --csv {loop}",
    ],
)
def test_an_output_that_is_a_link_to_itself_is_refused_in_words(tmp_path, capfd, words):
    (tmp_path / "loop.nii.gz").symlink_to(tmp_path / "loop.nii.gz")
    assert run(words.format(loop=tmp_path / "loop.nii.gz", data=tmp_path).split()) == 5
    assert '"loop.nii.gz": cannot be written (Too many levels of symbolic links)' in capfd.readouterr().err


def test_an_export_may_replace_the_bundle_itself(tmp_path, capfd):
    for name in ("bundle.json", "bundle.sha256"):
        (tmp_path / name).touch()
    run(["export", str(tmp_path / "run"), "-o", str(tmp_path)])
    assert "outside the bundle" not in capfd.readouterr().err
