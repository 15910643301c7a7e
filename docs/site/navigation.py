"""The list of pages of the site: the README's groups under "Where to go", and the READMEs below a README."""

from __future__ import annotations

import re

_ITEM = re.compile(r"^- (?P<text>.*?)(?=^- |^\S|\Z)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[(?P<text>[^]]+)\]\((?P<page>[^)#\s:]+)\.md\)")


def linked_pages(markdown: str) -> dict[str, str]:
    """Returns the Markdown pages that a text links to, in its order: path without ``.md`` → text of the first link.

    Example:
        >>> linked_pages("[data sets](docs/data.md), [licence](LICENSE), [us](https://example.org/us.md)")
        {'docs/data': 'Data sets'}
    """
    pages: dict[str, str] = {}
    for link in _LINK.finditer(markdown):
        text = " ".join(link["text"].split())
        pages.setdefault(link["page"], text[0].upper() + text[1:])
    return pages


def page_groups(readme: str) -> dict[str, dict[str, str]]:
    r"""Returns the groups of the README's list "Where to go", each as `linked_pages` returns it.

    A group is an item of the list; its name is the text before the first colon.

    Example:
        >>> page_groups("\n## Where to go\n\n- Start from [examples](e.md): Python\n- Use: [it](i.md)\n")
        {'Start from examples': {'e': 'Examples'}, 'Use': {'i': 'It'}}

    Raises:
        ValueError: the README has no such list.
    """
    _, _, rest = readme.partition("\n## Where to go\n")
    items = [item["text"] for item in _ITEM.finditer(rest)]
    if not items:
        raise ValueError('expected a section "Where to go" with a list of groups in README.md, found none')
    return {_LINK.sub(r"\g<text>", item).partition(":")[0]: linked_pages(item) for item in items}


def pages_below(markdown: str) -> list[str]:
    """Returns the READMEs in folders below a page's own that the page links to.

    Example:
        >>> pages_below("[speed](speed/README.md), [home](../README.md), [data](../docs/data.md)")
        ['speed/README']
    """
    return [page for page in linked_pages(markdown) if page.endswith("/README") and not page.startswith("..")]


def toctree(entries: list[str], caption: str = "") -> str:
    """Returns Sphinx's directive that puts pages into the site's list of pages, as MyST Markdown.

    Args:
        entries: ``page`` or ``text <page>``; without a text, Sphinx shows the page's heading.
        caption: heading of the group, if it is to have one.
    """
    options = [":hidden:", *([f":caption: {caption}"] if caption else [])]
    return "\n".join(["", "```{toctree}", *options, "", *entries, "```", ""])
