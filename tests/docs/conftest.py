"""The scripts of the documentation site, which are no package and need no Sphinx."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

SITE = Path(__file__).resolve().parents[2] / "docs" / "site"


def load(name: str) -> ModuleType:
    """Imports a script of the site without entering it among the modules."""
    spec = spec_from_file_location(f"site_{name}", SITE / f"{name}.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def navigation() -> ModuleType:
    return load("navigation")


@pytest.fixture(scope="session")
def check_pages() -> ModuleType:
    return load("check_pages")


@pytest.fixture(scope="session")
def public_names() -> ModuleType:
    return load("public_names")
