"""The models of the tests of engines, and a machine with an NVIDIA GPU."""

from .convolution import ir_file, model, model_file  # noqa: F401 - fixtures
from .fake_driver import driver  # noqa: F401 - fixtures
from .fake_tensorrt import tensorrt  # noqa: F401 - fixtures
