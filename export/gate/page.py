"""The parity page: the gate's figures and pictures as one self-contained HTML file.

It shows scans of the gate cases, so it is written beside the bundle and is no part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...runtime.bundles.manifest import Manifest
from ...runtime.bundles.outputs import check_writable
from ...runtime.bundles.variant import Variant
from ...runtime.errors import UsageError
from ...runtime.files.html_page import check_packages, page_marks, write_page
from ...training.runs.pictures import label_colour
from ..cases import ExportCases
from . import verdict
from .dice import VariantScores
from .gate import exact_counterpart
from .overlap import windows_differ
from .pictures import WorstCase, drops_picture, overlap_picture, worst_case

_PAGE_MARKS = page_marks(": parity of the exported variants</title>")


@dataclass(frozen=True)
class _Organ:
    name: str
    colour: str


def check_page(path: Path, bundle: Path) -> None:
    """Checks that a page can be written, before minutes of work.

    Args:
        path: HTML file to write, ``.html``.
        bundle: the bundle's folder, which replaces what is there and holds nothing but its own files.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
        UsageError: the page has another ending, would lie in this bundle or in another, or another file is there.
        ResourceError: the page cannot be written.
    """
    check_packages()
    if bundle.resolve() in path.resolve().parents:
        raise UsageError(f'the page "{path.name}" would lie in the bundle "{bundle.name}"; choose a place outside it')
    check_writable(path, ".html", marks=_PAGE_MARKS)


def write_parity_page(path: Path, manifest: Manifest, cases: ExportCases, scores: Mapping[str, VariantScores]) -> Path:
    """Writes the page and returns its path.

    Args:
        path: HTML file to write.
        manifest: the manifest with all figures.
        cases: the scans of the export.
        scores: name of the variant → its results on the gate cases.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
        ResourceError: the file cannot be written.
    """
    variants = manifest.all_variants
    compared = [variant for variant in variants if variant.organ_drops]
    measured = {name for each in variants for name in (*each.dice, *each.spurious, *each.borders)}
    fields = {
        "manifest": manifest,
        "variants": variants,
        "compared": compared,
        "organs": [
            _Organ(name, label_colour(index))
            for index, name in enumerate(manifest.task.labels)
            if index and name in measured
        ],
        "verdict": verdict,
        "drops": drops_picture(compared) if compared else None,
        "overlap": _overlap_picture(manifest),
        "worst": _worst_cases(compared, manifest, cases, scores),
        "warning": cases.warning,
    }
    return write_page(path, Path(__file__).with_name("parity.html.j2"), fields)


def _worst_cases(
    variants: list[Variant], manifest: Manifest, cases: ExportCases, scores: Mapping[str, VariantScores]
) -> dict[str, WorstCase]:
    """Returns the name of each variant → its worst case."""
    found: dict[str, WorstCase] = {}
    for variant in variants:
        exact = exact_counterpart(variant, manifest.variants)
        case = worst_case(scores[variant.name], scores[exact.name], cases.gate, manifest.task)
        if case is not None:
            found[variant.name] = case
    return found


def _overlap_picture(manifest: Manifest) -> bytes | None:
    """Draws Dice over the overlap; None where all overlaps need the same windows, so that their times are noise."""
    curve = manifest.overlap_curve
    return overlap_picture(curve, manifest.recommended_overlap) if windows_differ(curve) else None
