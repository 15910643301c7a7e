"""Checks the built site as a browser without a network sees it: `python check_pages.py FOLDER`.

Every link to a page, an image or a place in a page leads somewhere, and no page loads anything from another host.
Links that a reader follows to another host are allowed.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_CSS_ADDRESS = re.compile(r"""(?:url\(\s*['"]?|@import\s+['"])([^'")\s]+)""")
_FOLLOWED_RELATIONS = {"canonical", "index", "search", "next", "prev", "author", "license"}


class Page(HTMLParser):
    """The addresses in an HTML page, and the places in it that a link can name.

    Attributes:
        links: what a reader follows.
        loads: what a browser loads to show the page: scripts, styles, images, frames, fonts.
        places: values of ``id`` and ``name``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self._in_style = False

    @classmethod
    def read(cls, file: Path) -> Page:
        """Parses a file."""
        page = cls()
        page.feed(file.read_text(encoding="utf-8"))
        page.close()
        return page

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Records the addresses and places of an element."""
        values = {name: value for name, value in attrs if value is not None}
        self._in_style = tag == "style"
        self.places.update(values[name] for name in ("id", "name") if name in values)
        self.loads += _CSS_ADDRESS.findall(values.get("style", ""))
        self.loads += [values[name] for name in ("src", "poster", "data") if name in values]
        self.loads += [part.split()[0] for part in values.get("srcset", "").split(",") if part.strip()]
        if "href" in values:
            followed = tag in ("a", "area") or values.get("rel") in _FOLLOWED_RELATIONS
            (self.links if followed else self.loads).append(values["href"])

    def handle_endtag(self, tag: str) -> None:
        """Notes the end of a style."""
        self._in_style = self._in_style and tag != "style"

    def handle_data(self, data: str) -> None:
        """Records what a style in the page loads."""
        if self._in_style:
            self.loads += _CSS_ADDRESS.findall(data)


def findings(folder: Path) -> Iterator[str]:
    """Yields one line for each address that leads nowhere and each resource of another host.

    Args:
        folder: the built site.
    """
    pages = {file.resolve(): Page.read(file) for file in sorted(folder.rglob("*.html"))}
    for file, page in pages.items():
        shown = file.relative_to(folder.resolve())
        for address in page.loads:
            if _is_elsewhere(address):
                yield f"{shown}: loads {address} from another host"
        for address in page.links + page.loads:
            if not _is_elsewhere(address) and (lack := _lacking(address, file, pages)):
                yield f"{shown}: {address} leads nowhere: {lack}"
    for style in sorted(folder.rglob("*.css")):
        for address in _CSS_ADDRESS.findall(style.read_text(encoding="utf-8")):
            if _is_elsewhere(address):
                yield f"{style.relative_to(folder)}: loads {address} from another host"


def _is_elsewhere(address: str) -> bool:
    """Returns whether an address has a host or a scheme other than ``data:``."""
    parts = urlsplit(address)
    return bool(parts.netloc) or parts.scheme not in ("", "data")


def _lacking(address: str, file: Path, pages: dict[Path, Page]) -> str:
    """Returns what an address of the site names and the site lacks, or an empty text."""
    parts = urlsplit(address)
    if parts.scheme == "data":
        return ""
    target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
    if not target.is_file():
        return "no such file"
    place = unquote(parts.fragment)
    return f"the page has no {place!r}" if place and target in pages and place not in pages[target].places else ""


def main() -> int:
    """Prints the findings, one a line; returns 1 if there are any, or if the folder has no page."""
    folder = Path(sys.argv[1])
    found = list(findings(folder))
    count = len(list(folder.rglob("*.html")))
    print(*found, f"{folder}: {count} pages, {len(found)} findings", sep="\n")
    return 1 if found or not count else 0


if __name__ == "__main__":
    sys.exit(main())
