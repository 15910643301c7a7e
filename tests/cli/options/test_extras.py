"""A missing extra is named with the command that installs all that are missing."""

import pytest
from bedside.cli.options import extras
from bedside.runtime.errors import MissingExtraError


def test_every_missing_extra_is_in_the_command(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name in ("monai", "nncf") else object())
    with pytest.raises(MissingExtraError) as refused:
        extras.require("train", "report", "export")
    assert str(refused.value) == "monai is not installed; run: pip install 'bedside[train,export]'"


def test_what_is_installed_passes(monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: object())
    extras.require("train", "report", "export")
