"""Writes self-contained HTML pages from templates: style and pictures are inside, nothing is loaded from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from ... import __version__
from ..errors import MissingExtraError
from .atomic import atomic_write


def page_marks(title: str) -> tuple[str, ...]:
    """Returns texts that tell a page with this title, or a part of it, from other files; see `check_writable`."""
    return title, "research software, not a medical device"


def check_packages() -> None:
    """Checks that the packages of pages and pictures are installed, without importing them.

    Raises:
        MissingExtraError: jinja2 or matplotlib is missing.
    """
    for package in ("jinja2", "matplotlib"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "report")


def write_page(path: Path, template: Path, fields: Mapping[str, object]) -> Path:
    """Fills a template and writes the page.

    A template extends ``page.html.j2``, which has the style. The filter ``data_uri`` makes a picture's PNG bytes the
    address of an image, ``version`` is bedside's.

    Args:
        path: HTML file to write.
        template: Jinja template.
        fields: name in the template → value; text is escaped.

    Returns:
        ``path``.

    Raises:
        MissingExtraError: jinja2 is not installed.
        ResourceError: the file cannot be written.
    """
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
    except ImportError:
        raise MissingExtraError("jinja2", "report") from None
    environment = Environment(
        loader=FileSystemLoader([template.parent, Path(__file__).parent]),
        undefined=StrictUndefined,
        autoescape=select_autoescape(default=True, default_for_string=True),
    )
    environment.filters["data_uri"] = _data_uri
    page = environment.get_template(template.name).render({**fields, "version": __version__})
    with atomic_write(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
