import getpass
import os

import pytest
from bedside.training.nameless_user import name_the_nameless


@pytest.fixture
def forgetful(monkeypatch):
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
def test_a_user_id_without_a_name_gets_one(forgetful, error):
    forgetful(error)
    name_the_nameless()
    assert getpass.getuser() == f"uid_{os.getuid()}"


def test_a_user_with_a_name_keeps_it(monkeypatch):
    monkeypatch.setenv("LOGNAME", "ada")
    name_the_nameless()
    assert os.environ["LOGNAME"] == "ada"
