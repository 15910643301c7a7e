"""`bedside serve`: what it refuses before it listens. How it serves is tested in `tests/service/`."""

import pytest
from bedside.cli.main import run
from bedside.cli.options import extras


def code_and_line(capsys, *words):
    code = run(["serve", *map(str, words)])
    return code, capsys.readouterr().err


def test_another_address_demands_a_token(bundle_path, capsys):
    code, line = code_and_line(capsys, bundle_path, "--host", "0.0.0.0")
    assert code == 2
    assert "--token-file" in line


def test_a_token_is_read_from_its_file_and_never_said(bundle_path, tmp_path, capsys):
    (tmp_path / "token").write_text("short-secret\n")
    code, line = code_and_line(capsys, bundle_path, "--token-file", tmp_path / "token")
    assert code == 2
    assert "16 ASCII characters" in line
    assert "secret" not in line


def test_a_token_of_the_environment_loses_its_line_end(bundle_path, capsys, monkeypatch):
    monkeypatch.setenv("BEDSIDE_TOKEN", "short-secret-16-\r\n")
    monkeypatch.setattr("bedside.service.server.serve", lambda served, settings, started: print(repr(settings.token)))
    assert run(["serve", str(bundle_path), "--engine", "onnxruntime", "--precision", "fp32"]) == 0
    assert "'short-secret-16-'" in capsys.readouterr().out


def test_a_token_that_cannot_be_read_is_refused(bundle_path, tmp_path, capsys):
    code, _ = code_and_line(capsys, bundle_path, "--token-file", tmp_path / "missing")
    assert code == 3


def test_two_bundles_of_one_name_are_refused(bundle_path, capsys):
    code, line = code_and_line(capsys, bundle_path, bundle_path)
    assert code == 2
    assert "two bundles are called" in line


def test_a_bundle_that_is_none_is_refused_with_4(tmp_path, capsys):
    code, _ = code_and_line(capsys, tmp_path / "missing.bedside")
    assert code == 4


def test_a_missing_extra_is_named(bundle_path, capsys, monkeypatch):
    real = extras.find_spec
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "starlette" else real(name))
    code, line = code_and_line(capsys, bundle_path)
    assert code == 2
    assert "pip install 'bedside[serve]'" in line


@pytest.mark.parametrize("option", [("--port", "70000"), ("--queue", "0"), ("--max-upload", "0"), ("--keep", "0")])
def test_limits_out_of_range_are_refused(bundle_path, capsys, option):
    assert code_and_line(capsys, bundle_path, *option)[0] == 2
