"""How a bundle of the service is opened: in the server, which plans, and in the worker process, which segments."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.bundles.trusted_keys import Trust
from ..runtime.errors import BundleError

if TYPE_CHECKING:
    from ..runtime.engine_selection.engine_choice import EngineChoice
    from ..runtime.segmenter import Segmenter


@dataclass(frozen=True, kw_only=True)
class BundleSource:
    """A bundle, and the options of `Segmenter.load`.

    Attributes:
        name: what requests call it.
        path: bundle directory or zip.
        engine: as in `Segmenter.load`, like all options.
        precision: of the network.
        threads: number of CPU threads.
        memory_limit: bytes that the service may hold, with its worker process.
        device: of the engine.
        trust: keys of which one must have signed the bundle.
        sha256: hash that the bundle must have, where ``choice`` is given.
        choice: how that bundle is opened, as another process chose; None chooses by the options.
    """

    name: str
    path: Path
    engine: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    memory_limit: int | None = None
    device: str = "auto"
    trust: Trust | None = None
    sha256: str = ""
    choice: EngineChoice | None = None

    def open(self) -> Segmenter:
        """Opens the bundle.

        Raises:
            BedsideError: as `Segmenter.load`.
            BundleError: it is another bundle than before.
        """
        from ..runtime.segmenter import Segmenter

        if self.choice is not None:
            return self._open_as_chosen(self.choice)
        return Segmenter.load(
            self.path,
            self.engine,
            self.precision,
            self.threads,
            self.memory_limit,
            device=self.device,
            trust=self.trust,
        )

    def _open_as_chosen(self, choice: EngineChoice) -> Segmenter:
        from ..runtime.bundles.bundle import Bundle
        from ..runtime.opened_model import OpenedModel
        from ..runtime.segmenter import Segmenter

        with ExitStack() as opening:
            bundle = opening.enter_context(Bundle.open(self.path, self.trust))
            if bundle.sha256 != self.sha256:
                raise BundleError(
                    f'"{self.path.name}": another bundle than when the service was started; start it again'
                )
            segmenter = Segmenter(bundle, OpenedModel.chosen(bundle, choice, self.memory_limit))
            opening.pop_all()
        return segmenter

    def as_opened(self, segmenter: Segmenter) -> BundleSource:
        """Returns the source of exactly what was opened: the same bundle, and the engine as it was chosen.

        What opens it measures nothing, and cannot choose what takes more memory than scans are planned with.
        """
        return replace(self, path=self.path.resolve(), sha256=segmenter.bundle.sha256, choice=segmenter.choice)
