"""Every public name has a description, and every public package a page in the reference."""

import inspect
import re

import pytest

from .conftest import SITE, load

SCRIPT = load("public_names")
NAMES = SCRIPT.public_names()
REFERENCE = "\n".join(page.read_text(encoding="utf-8") for page in sorted((SITE / "api").glob("*.rst")))


@pytest.mark.parametrize("name", NAMES)
def test_a_public_name_has_a_docstring_of_its_own_or_a_text_in_the_reference(name):
    value = NAMES[name]
    if inspect.isclass(value) or inspect.isroutine(value):
        assert (value.__doc__ or "").strip()
    else:
        short = name.rpartition(".")[2]
        assert re.search(rf"^\.\. py:data:: {short}\n(?:   :.*\n)*\n   \w", REFERENCE, re.MULTILINE)


@pytest.mark.parametrize("package", SCRIPT.PACKAGES)
def test_a_public_package_has_its_section_in_the_reference(package):
    assert f".. automodule:: {package}\n   :imported-members:\n" in REFERENCE


def test_the_reference_lists_each_of_its_pages():
    pages = {page.stem for page in (SITE / "api").glob("*.rst")} - {"index"}
    listed = re.findall(r"^   (\w+)$", (SITE / "api" / "index.rst").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(listed) == pages
