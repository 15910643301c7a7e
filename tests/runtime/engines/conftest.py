"""The models of the tests of engines, and a machine with an NVIDIA GPU."""

from .convolution import ir_file, model, model_file  # noqa: F401 - fixtures
from .fake_nvidia import driver, tensorrt  # noqa: F401 - fixtures
