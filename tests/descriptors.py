"""Fixture: a process that may open no further file."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager

import pytest


@contextmanager
def _none_left() -> Generator[None]:
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def no_descriptors() -> Callable[[], AbstractContextManager[None]]:
    """Lets every `open` fail while a block runs; call before what is tested once, because it may import."""
    return _none_left
