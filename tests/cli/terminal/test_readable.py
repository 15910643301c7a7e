import ast
from pathlib import Path

import bedside
import pytest
from bedside.cli.terminal.readable import SIGNS, readable

FOLDERS = ("cli", "devices", "dicom", "distill", "export", "runtime", "service", "teacher", "training")


def texts():
    """Every text of the product but the docstrings, and the names of sides in many languages, which nobody prints."""
    root = Path(bedside.__file__).parent
    for folder in FOLDERS:
        for file in (root / folder).rglob("*.py"):
            if file == root / "runtime" / "labels" / "sides.py":
                continue
            tree = ast.parse(file.read_text(encoding="utf-8"))
            bodies = [node.body for node in ast.walk(tree) if hasattr(node, "body") and isinstance(node.body, list)]
            docstrings = {id(body[0].value) for body in bodies if body and isinstance(body[0], ast.Expr)}
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                    yield node.value


def test_every_sign_of_our_messages_has_an_ascii_form():
    signs = {sign for text in texts() for sign in text if not sign.isascii() and sign.isprintable()}
    assert signs >= {"×", "…"}
    assert signs - SIGNS.keys() == set()


def test_the_ascii_forms_are_ascii():
    assert all(form.isascii() and form for form in SIGNS.values())


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_what_the_encoding_has_stays_and_nothing_is_lost(encoding):
    assert readable("liver 3.5 ml", encoding) == "liver 3.5 ml"
    assert readable("кость", encoding) == ("кость" if encoding == "utf-8" else r"\u043a\u043e\u0441\u0442\u044c")
