"""A bundle that the server has opened, and plans with, as the worker process opens it to segment."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..runtime.bundles.bundle import Bundle
from ..runtime.bundles.trusted_keys import Trust
from ..runtime.engine_selection.engine_choice import EngineChoice
from ..runtime.engines import closed_on_error
from ..runtime.errors import BundleError
from ..runtime.opened_model import OpenedModel
from ..runtime.segmenter import Segmenter


@dataclass(frozen=True, kw_only=True)
class BundleSource:
    """What the server opened: the same bundle, and the engine as it was chosen.

    What opens it measures nothing, and cannot choose what takes more memory than scans are planned with.

    Attributes:
        name: what requests call it.
        path: bundle directory or zip.
        trust: keys of which one must have signed the bundle.
        sha256: hash that the bundle must have.
        choice: how it is opened.
        memory_limit: bytes that the service may hold, with its worker process.
    """

    name: str
    path: Path
    trust: Trust | None
    sha256: str
    choice: EngineChoice
    memory_limit: int | None

    @classmethod
    def of(cls, name: str, path: Path, trust: Trust | None, segmenter: Segmenter) -> BundleSource:
        """Describes what was opened from a path."""
        return cls(
            name=name,
            path=path.resolve(),
            trust=trust,
            sha256=segmenter.bundle.sha256,
            choice=segmenter.choice,
            memory_limit=segmenter.model.memory_limit,
        )

    def open(self) -> Segmenter:
        """Opens the bundle again.

        Raises:
            BedsideError: as `Segmenter.load`.
            BundleError: it is another bundle than before.
        """
        with closed_on_error(Bundle.open(self.path, self.trust)) as bundle:
            if bundle.sha256 != self.sha256:
                raise BundleError(
                    f'"{self.path.name}": another bundle than when the service was started; start it again'
                )
            return Segmenter(bundle, OpenedModel.chosen(bundle, self.choice, self.memory_limit))
