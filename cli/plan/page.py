"""The page of a plan: every option, the reasons, and what is not proven, as one self-contained HTML file."""

from __future__ import annotations

from pathlib import Path

from ...devices.planner.report import PlanReport
from ...runtime.files.html_page import page_marks, write_page

PAGE_MARKS = page_marks("<title>Plan for ")


def write_plan_page(path: Path, report: PlanReport) -> Path:
    """Writes the page and returns its path.

    Raises:
        MissingExtraError: jinja2 is not installed.
        ResourceError: the file cannot be written.
    """
    return write_page(path, Path(__file__).with_name("plan.html.j2"), {"report": report})
