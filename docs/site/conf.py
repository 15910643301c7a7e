"""Sphinx's configuration of the documentation site, which `make docs` builds.

The pages are the repository's own Markdown files and contain nothing that only Sphinx understands: the list of pages
is made from the README's links while the site is built.
"""

import shutil
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.logging import getLogger

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bedside
from navigation import page_groups, pages_below, toctree
from public_names import public_names

project = "bedside"
author = "the bedside authors"
version = release = bedside.__version__
language = "en"

root_doc = "README"
include_patterns = [
    "*.md",
    "docs/*.md",
    "docs/site/api/*.rst",
    "benchmarks/*.md",
    "benchmarks/**/*.md",
    "examples/*.md",
    "examples/**/*.md",
]
exclude_patterns = [".*", "build", "dist", "demo", "**/node_modules"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
myst_heading_anchors = 4
default_role = "code"  # `name` in a docstring means what it means in the Markdown pages
autodoc_default_options = {"members": True}
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
python_use_unqualified_type_names = True
maximum_signature_line_length = 90
add_module_names = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes in one list, as in the docstring; the signature has their types

html_theme = "furo"
html_title = f"bedside {bedside.__version__}"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_show_search_summary = False  # a browser may not read other pages of a site that is opened as files
html_copy_source = False
html_show_copyright = False

PUBLIC_NAMES = public_names()


def add_page_list(app: Sphinx, name: str, source: list[str]) -> None:
    """Appends to a README the list of the pages that it links to."""
    if name == "README":
        for caption, pages in page_groups(source[0]).items():
            source[0] += toctree([f"{text} <{page}>" for page, text in pages.items()], caption)
        source[0] += toctree(["Reference <docs/site/api/index>"], "Python API")
    elif name.endswith("/README") and (below := pages_below(source[0])):
        source[0] += toctree(below)


def check_public_names(app: Sphinx, environment: BuildEnvironment) -> None:
    """Warns of public names that no page of the reference describes; `make docs` fails on a warning."""
    described = environment.domaindata["py"]["objects"]
    for name in PUBLIC_NAMES.keys() - described.keys():
        getLogger(__name__).warning("%s is public, and no page under docs/site/api describes it", name)


def copy_home(app: Sphinx, failure: Exception | None) -> None:
    """Copies the README's page to index.html, the page that a browser opens first."""
    if failure is None and app.builder.format == "html":
        shutil.copyfile(Path(app.outdir, "README.html"), Path(app.outdir, "index.html"))


def setup(app: Sphinx) -> None:
    """Connects the functions above with Sphinx."""
    app.connect("source-read", add_page_list)
    app.connect("env-check-consistency", check_public_names)
    app.connect("build-finished", copy_home)
