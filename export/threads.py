"""Keeps torch and the quantizers to the CPU threads of an export; engines are opened with them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..runtime.engines import default_threads

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def torch_threads(number: int | None) -> Generator[None]:
    """Limits torch to some CPU threads while the block runs.

    Args:
        number: CPU threads; None leaves torch as it is.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def quantizer_threads(number: int | None) -> Generator[None]:
    """Limits the ONNX Runtime sessions of NNCF and of ONNX Runtime's quantizer while the block runs.

    Both libraries open sessions with default options and take no others. By default a session has a thread for each
    core of the machine, also where the process may use fewer.

    Args:
        number: CPU threads; None for all that this process may use.
    """
    import onnxruntime

    default = onnxruntime.SessionOptions

    def limited() -> Any:
        options = default()
        options.intra_op_num_threads = number or default_threads()
        return options

    onnxruntime.SessionOptions = limited
    try:
        yield
    finally:
        onnxruntime.SessionOptions = default
