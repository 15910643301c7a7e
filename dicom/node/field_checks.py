"""Checks of fields that several sections of `node.toml` have; each raises `FieldError`."""

from __future__ import annotations

import ipaddress

from ...runtime.errors import FieldError

LONGEST_AE_TITLE = 16


def check_ae_title(name: str, title: str) -> None:
    """Refuses what is no application entity title (PS3.5, section 6.2)."""
    if not (title.strip() and len(title) <= LONGEST_AE_TITLE and title.isascii() and title.isprintable()):
        raise FieldError(f'{name}: expected 1 to {LONGEST_AE_TITLE} ASCII characters, got "{title[:40]}"')
    if "\\" in title or title != title.strip():
        raise FieldError(f'{name}: expected no backslash and no spaces around it, got "{title}"')


def check_address(name: str, address: str) -> None:
    """Refuses what is no IP address."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise FieldError(f'{name}: expected an address such as 127.0.0.1 or 0.0.0.0, got "{address[:60]}"') from None


def check_not_empty(name: str, text: str) -> None:
    """Refuses an empty text, and one that no path can hold."""
    if not text.strip() or "\0" in text:
        raise FieldError(f"{name}: expected a text, got an empty one")


def check_some(name: str, accepted: tuple[str, ...] | None) -> None:
    """Refuses an empty list of what is accepted: a person could mean all by it, or nothing."""
    if accepted is not None and not accepted:
        raise FieldError(f"{name}: expected at least one, got none; without the line, the default holds")


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Refuses a number out of range, and one that is none."""
    if not low <= value <= high:
        raise FieldError(f"{name}: expected {low:g} to {high:g}, got {value:g}")
