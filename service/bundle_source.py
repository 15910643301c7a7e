"""How a bundle of the service is opened: in the server, which plans, and in the worker process, which segments."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.bundles.trusted_keys import Trust
from ..runtime.errors import BundleError

if TYPE_CHECKING:
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
        sha256: hash that the bundle must have; empty for any.
        parallel: windows that the engine may run at the same time; 0 for any number.
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
    parallel: int = 0

    def open(self) -> Segmenter:
        """Opens the bundle.

        Raises:
            BedsideError: as `Segmenter.load`.
            BundleError: it is another bundle than before.
        """
        from ..runtime.segmenter import Segmenter

        made = Segmenter.load(
            self.path,
            self.engine,
            self.precision,
            self.threads,
            self.memory_limit,
            device=self.device,
            trust=self.trust,
        )
        if self.sha256 and made.bundle.sha256 != self.sha256:
            made.close()
            raise BundleError(f'"{self.path.name}": another bundle than when the service was started; start it again')
        if self.parallel and made.engine.parallel > self.parallel:  # it would take more memory than planned
            made.close()
            return replace(self, threads=made.choice.threads, parallel=0).open()
        return made

    def as_opened(self, segmenter: Segmenter) -> BundleSource:
        """Returns the source of exactly what was opened: the same bundle, engine, precision and device."""
        setting = segmenter.choice.setting
        return replace(
            self,
            path=self.path.resolve(),
            engine=setting.engine,
            precision=setting.precision,
            device=setting.device,
            sha256=segmenter.bundle.sha256,
            parallel=segmenter.engine.parallel,
        )
