"""The Protocol that every engine fulfils, and the base class with the code that engines share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Literal, Protocol, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from ..axes import DHW
from ..errors import ResourceError, first_line
from .model_bytes import Model
from .network_shape import NetworkShape
from .slots import Slots

Precision = Literal["fp32", "fp16", "bf16", "int8", "uint8", "int8-fp16", "int8-bf16"]  # the most accurate first
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

CPU = "CPU"  # every engine's name of the processor

Slot = TypeVar("Slot")


class _Closable(Protocol):
    def close(self) -> None: ...


_Opened = TypeVar("_Opened", bound=_Closable)


@dataclass(frozen=True)
class InferenceDevice:
    """A device of this machine that an engine runs networks on.

    Attributes:
        name: the engine's own name of it: ``"CPU"``, ``"GPU"``, ``"NPU"``, ``"CUDA"``, …
        precisions: the precisions it computes in, the most accurate first.
        title: its model, for people; empty where the engine does not report one.
        software: versions of driver and libraries that its results depend on; empty where the version of the engine's
            package says it all.
        nvidia: whether it is an NVIDIA GPU, whose energy a processor's counters leave out.
    """

    name: str
    precisions: tuple[Precision, ...]
    title: str = ""
    software: str = ""
    nvidia: bool = False


class Engine(Protocol):
    """A network compiled for this machine; a context manager. `infer` may be called from several threads.

    Attributes:
        name: name of its row in `ENGINES`.
        precision: precision of the variant it was opened with, one of `PRECISIONS`.
        device: name of the `InferenceDevice` it runs on.
        parallel: number of `infer` calls that run at the same time; further calls wait.
        has_run: whether `infer` has returned once; on the first run an engine allocates its workspace.
        patch_dhw: size of the network's window, in voxels.
        num_classes: number of output channels, background included.
    """

    name: str
    precision: str
    device: str
    parallel: int
    has_run: bool
    patch_dhw: DHW
    num_classes: int

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Runs the network.

        Args:
            patches: [N, 1, D, H, W] float32, normalised.

        Returns:
            Logits [N, C, D, H, W] float32; the array belongs to the caller, no later call changes it.

        Raises:
            UsageError: the patches have another shape, or the engine is closed.
            ResourceError: the engine ran out of memory or failed while running.
        """
        ...

    def compiled(self) -> bytes | None:
        """Returns the network compiled for this machine, to open it faster next time; None where unsupported."""
        ...

    def close(self) -> None:
        """Waits for running calls of `infer`, then frees the engine's memory; may be called twice."""
        ...

    def __enter__(self) -> Engine: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class BaseEngine(ABC, Generic[Slot]):
    """An engine that runs patches in slots; a subclass adds `name`, `library`, `devices` and `_run`.

    It is opened as ``subclass(model, threads, precision, streams, compiled, device)``; see `open_engine`.

    Args:
        network: shape of the network.
        slots: for each inference that may run at the same time, the object that it needs, such as a session.
        precision: precision of the variant.
        device: name of the device that it runs on.
    """

    name: str
    library: str  # display name, for messages

    def __init__(self, network: NetworkShape, slots: Iterable[Slot], precision: str, device: str = CPU) -> None:
        self._network = network
        self._slots = Slots(slots)
        self.precision = precision
        self.device = device
        self.parallel = self._slots.count
        self.has_run = False
        self.patch_dhw = network.patch_dhw
        self.num_classes = network.num_classes

    @staticmethod
    @abstractmethod
    def devices() -> tuple[InferenceDevice, ...]:
        """Returns the devices of this machine that it runs on, the default one first; empty where there is none."""

    @abstractmethod
    def _run(self, slot: Slot, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Runs the network; what it raises becomes a `ResourceError`.

        Args:
            slot: the object of a free slot.
            patches: [N, 1, D, H, W] float32, C-contiguous, N ≥ 1; may be read-only.

        Returns:
            Logits [N, C, D, H, W] float32, in memory of their own.
        """

    def infer(self, patches: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns logits [N, C, D, H, W] of patches [N, 1, D, H, W]; see `Engine.infer`."""
        patches = self._network.check_patches(patches)
        with self._slots.hold() as slot:
            try:
                logits = self._run(slot, patches)
            except Exception as error:  # the libraries' error classes have no common base but Exception
                raise ResourceError(f"{self.library} failed while running: {first_line(error)}") from None
        self.has_run = True
        return logits

    def compiled(self) -> bytes | None:
        """Returns None: an engine that caches compiled networks overrides this; see `Engine.compiled`."""
        return None

    def close(self) -> None:
        """Waits for running inferences, then drops the content of the slots; see `Engine.close`."""
        self._slots.close()

    def __enter__(self) -> BaseEngine[Slot]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EngineClass(Protocol):
    """What `open_engine` needs of an engine's class."""

    def __call__(
        self, model: Model, threads: int, precision: str, streams: int, compiled: bytes | None, device: str, /
    ) -> Engine:
        """Opens a network; see `open_engine`."""
        ...

    def devices(self) -> tuple[InferenceDevice, ...]:
        """Returns the devices of this machine that it runs on, the default one first; a static method."""
        ...


@contextmanager
def closed_on_error(opened: _Opened) -> Generator[_Opened]:
    """Closes an engine, or a bundle, if the ``with`` block raises; otherwise leaves it open."""
    try:
        yield opened
    except BaseException:
        opened.close()
        raise


@contextmanager
def importing(package: str) -> Generator[None]:
    """Imports what an engine needs in the ``with`` block.

    Args:
        package: what is imported, for the message.

    Raises:
        ResourceError: it cannot be imported; say, a system library is missing, or it was built for another system.
    """
    try:
        yield
    except (ImportError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ResourceError(
            f"{package} cannot be imported ({reason}); install it again, or choose another engine"
        ) from error
