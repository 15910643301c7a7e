"""Fake engines for the tests of choosing one."""

from .fake_engines import cached, workshop, write  # noqa: F401 - fixtures
