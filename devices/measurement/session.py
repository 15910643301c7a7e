"""What can be measured, and in which steps: a contender opens a session in a process of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from .report import ColdStart, EndToEnd


class Session(Protocol):
    """One contender in its process; the steps come in this order, the last three several times or not at all."""

    def start(self, compiled: Path | None, keep: Path | None) -> ColdStart:
        """Opens the network and runs one window.

        Args:
            compiled: file of the network as an earlier start compiled it; None to compile it.
            keep: file to write the compiled network to, if the engine has one; None for no file.
        """
        ...

    def self_test(self) -> None:
        """Checks that the open network computes on this machine what it should.

        Raises:
            BundleError: it does not.
        """
        ...

    def window(self) -> Callable[[], object]:
        """Returns the call to measure: one window of the network, on data that are always the same."""
        ...

    def open_scans(self) -> None:
        """Closes the network, and loads what segments a whole scan."""
        ...

    def scan(self, progress: Callable[[float], object]) -> EndToEnd:
        """Segments the contender's scan from file to label file; ``progress`` takes the finished fraction, 0…1."""
        ...


class Contender(Protocol):
    """A variant to measure, as it is sent to its process: picklable.

    Attributes:
        engine: row of the engine table, or the name of another program.
        precision: precision of the variant.
        device: the engine's name of the device.
        label: name that tells it from the others of the same run.
        input: path of the scan to segment; None for none.
        on_card: whether it runs on an NVIDIA graphics card, which the processor's energy counters leave out.
    """

    @property
    def engine(self) -> str: ...  # noqa: D102
    @property
    def precision(self) -> str: ...  # noqa: D102
    @property
    def device(self) -> str: ...  # noqa: D102
    @property
    def label(self) -> str: ...  # noqa: D102
    @property
    def input(self) -> str | None: ...  # noqa: D102
    @property
    def on_card(self) -> bool: ...  # noqa: D102

    def session(self) -> AbstractContextManager[Session]:
        """Opens a session, in the contender's process."""
        ...

    def engine_version(self) -> str:
        """Returns the version of the engine's package, in the contender's process."""
        ...
