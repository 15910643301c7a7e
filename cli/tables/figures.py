"""How tables write a measured figure."""

from __future__ import annotations


def significant(figure: float, digits: int = 3) -> str:
    """Returns a figure with some significant digits, a large one as a whole number: 0.0591, 2.40, 32.1, 251, 1880."""
    exponent = int(f"{figure:.{digits - 1}e}".partition("e")[2] or 0)  # once rounded: 9.996 is 10.0
    return f"{figure:.{max(0, digits - 1 - exponent)}f}"
