"""A bundle so small that measuring it takes a blink."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def bundle(tmp_path: Path, toy: Any) -> Path:
    """The toy bundle at 12 mm, where the synthetic scan is tiny."""
    return toy.write_bundle(tmp_path / "tiny.bedside", toy.task(patch=(16, 16, 16), spacing=(12.0, 12.0, 12.0)))
