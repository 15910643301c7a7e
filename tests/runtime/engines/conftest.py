"""The models of the tests of engines."""

from .convolution import ir_file, model, model_file  # noqa: F401 - fixtures
