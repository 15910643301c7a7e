"""No message that may reach an HTTP client names an option of the command line."""

import ast
import re
from pathlib import Path

import pytest
from bedside.service.wording import for_clients

ROOT = Path(__file__).resolve().parents[2]
OPTION = re.compile(r"(?<!gdcmconv )--[a-z]")  # an option of this command line, not of another's
FOLDERS = ("runtime/scans", "runtime/memory", "runtime/preprocessing", "runtime/labels", "runtime/windows", "dicom")
FILES = [path for folder in FOLDERS for path in sorted((ROOT / folder).glob("*.py"))]
FILES += [ROOT / "runtime" / name for name in ("pipeline.py", "segmenter.py", "execution_plan.py", "locator.py")]
OPERATORS = {"settings.py", "server.py", "private_folder.py"}  # said at the start, on the terminal
SERVICE = [path for path in sorted((ROOT / "service").glob("*.py")) if path.name not in {*OPERATORS, "wording.py"}]


def messages(path):
    """The string literals of a file that name an option, those of one message joined; without docstrings."""
    tree = ast.parse(path.read_text())
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
        if is_text and OPTION.search(node.value):
            yield node.value


ALL = [message for path in FILES for message in messages(path)]


def test_there_are_such_messages_of_the_runtime():
    assert len(ALL) >= 7


@pytest.mark.parametrize("message", ALL)
def test_a_message_of_the_runtime_is_translated(message):
    assert not OPTION.search(for_clients(message))
    assert not re.search("bedside [a-z]", for_clients(message))


@pytest.mark.parametrize("path", SERVICE, ids=lambda path: path.name)
def test_the_service_itself_names_no_option(path):
    assert not list(messages(path))


def test_options_that_a_request_has_are_named_as_its_parameters():
    assert for_clients("choose one (--use-sform or --use-qform)") == "choose one (prefer=sform or prefer=qform)"
    assert for_clients("or interpolate (--fill-gaps)") == "or interpolate (fill_gaps=true)"
    assert for_clients("got 3; choose one (--volume N, from 0)") == "got 3; choose one (volume=N, from 0)"
