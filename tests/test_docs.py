"""Links in the documents lead to files, command lines in them parse, and the exit codes are those of the code.

Scripts and modules that documents and docstrings name exist.
"""

import ast
import re
import shlex
from pathlib import Path

import pytest
from bedside.cli.main import command_group
from bedside.runtime.errors import ExitCode

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "benchmarks").rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
    ]
)
FOLDERS = (
    "runtime",
    "training",
    "teacher",
    "distill",
    "export",
    "devices",
    "dicom",
    "service",
    "processes",
    "cli",
    "docs",
    "tests",
    "benchmarks",
    "examples",
)
SOURCES = [file.relative_to(ROOT).as_posix() for folder in FOLDERS for file in (ROOT / folder).rglob("*.[ps][yh]")]


def leaves(group, *words):
    """Yields the words and the command of every command, groups gone into."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, *words, name)
        command = getattr(command, "default", command)  # of a group that is a command too
        if not hasattr(command, "commands"):
            yield (*words, name), command


COMMANDS = dict(leaves(command_group()))


def parse(line):
    """Parses a command line as the real one would, without running it."""
    program, *words = shlex.split(line, comments=True)
    assert program == "bedside"
    if words[0].startswith("-"):
        command_group().make_context("bedside", words, resilient_parsing=True)
    else:
        name = next(tuple(words[:n]) for n in (2, 1) if tuple(words[:n]) in COMMANDS)
        COMMANDS[name].make_context(" ".join(name), words[len(name) :])


def missing_scripts(text):
    """Returns the scripts and modules in backticks that no source file of the repository is."""
    named = re.findall(r"`((?:[\w.-]+/)*[a-z0-9_]+\.(?:py|sh))`", text)
    return [name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in SOURCES)]


def shell_lines(text):
    """Yields the `bedside …` lines of a document's shell blocks, continuation lines joined."""
    for block in re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("bedside "):
                yield line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_a_document_lead_to_files_that_are_there(document):
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", document.read_text())
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_scripts_and_modules_that_a_document_names_exist(document):
    assert missing_scripts(document.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source", [source for source in SOURCES if source.endswith(".py") and not source.startswith("tests")]
)
def test_scripts_and_modules_that_a_docstring_names_exist(source):
    nodes = ast.walk(ast.parse((ROOT / source).read_text(encoding="utf-8")))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = (ast.get_docstring(node) for node in nodes if isinstance(node, documented))
    assert missing_scripts("\n".join(filter(None, docstrings))) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_command_lines_of_a_document_parse(document):
    for line in shell_lines(document.read_text()):
        parse(line)


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_every_command_shows_an_example_that_parses(name):
    examples = re.findall(r"Example: (bedside [^\n]*(?:\n(?!\n)[^\n]+)*)", COMMANDS[name].load().callback.__doc__)
    assert examples
    for example in examples:
        parse(" ".join(example.split()))


def test_the_example_parser_refuses_what_the_command_line_refuses():
    with pytest.raises(Exception, match="No such option"):
        parse("bedside segment x.bedside -i a.nii -o b.nii --colour")


def test_the_table_of_exit_codes_lists_every_code():
    table = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    listed = [int(code) for codes in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for code in codes.split(",")]
    assert sorted(listed) == sorted(map(int, ExitCode))
