"""Fixtures shared by all folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real CT scans beside the repository; the test is skipped where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("real CT data are not on this machine")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240229)
