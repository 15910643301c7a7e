"""The service: bundles behind HTTP and JSON on this machine, with a page to look at. Needs the extra ``serve``."""

from .settings import Settings

__all__ = ["Settings"]
