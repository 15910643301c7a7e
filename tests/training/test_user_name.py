import getpass
import os

import pytest
from bedside.training import ensure_user_name


@pytest.fixture
def no_account(monkeypatch):
    """The variables that name a user are gone; returns what makes the system forget this one too."""
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    def forget(error):
        def missing(uid):
            raise error

        monkeypatch.setattr("pwd.getpwuid", missing)

    return forget


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 12345"), OSError("No username set")])
def test_a_user_id_without_a_name_gets_one(no_account, error):
    no_account(error)
    ensure_user_name()
    assert getpass.getuser() == f"uid_{os.getuid()}"


def test_a_user_with_a_name_keeps_it(monkeypatch):
    monkeypatch.setenv("LOGNAME", "ada")
    ensure_user_name()
    assert os.environ["LOGNAME"] == "ada"
