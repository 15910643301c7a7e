"""The bundles that the service runs, under the names that requests call them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..runtime.bundles.trusted_keys import Trust
from ..runtime.engine_selection.engine_request import EngineRequest
from ..runtime.errors import UsageError
from ..runtime.segmenter import Segmenter
from .answers import BundleAnswer
from .bundle_source import BundleSource


@dataclass(frozen=True)
class ServedBundle:
    """A bundle that is open.

    Attributes:
        source: what the worker process opens.
        segmenter: what plans its scans.
    """

    source: BundleSource
    segmenter: Segmenter

    @classmethod
    @contextmanager
    def opened(cls, name: str, path: Path, asked: EngineRequest, trust: Trust | None = None) -> Generator[ServedBundle]:
        """Opens a bundle for the ``with`` block.

        Args:
            name: what requests call it.
            path: bundle directory or zip.
            asked: the engine, and what the service may use of the machine, with its worker process.
            trust: keys of which one must have signed the bundle.

        Raises:
            BedsideError: as `Segmenter.load`.
        """
        with Segmenter.open(path, asked, trust) as segmenter:
            yield cls(BundleSource.of(name, path, trust, segmenter), segmenter)

    @property
    def name(self) -> str:
        """What requests call it."""
        return self.source.name

    def answer(self) -> BundleAnswer:
        """Returns what the API answers about it."""
        task, bundle, engine = self.segmenter.task, self.segmenter.bundle, self.segmenter.engine
        return BundleAnswer(
            name=self.name,
            task=task.name,
            modality=task.modality.value,
            labels=list(task.labels),
            sha256=bundle.sha256,
            engine=engine.name,
            precision=engine.precision,
            device=engine.device,
            intended_use=bundle.manifest.intended_use,
        )


def bundle_names(paths: Sequence[Path]) -> list[str]:
    """Returns the names of bundles: those of their files, without the ending.

    Raises:
        UsageError: there is none, or two have the same name.
    """
    names = [path.resolve().name.removesuffix(".zip").removesuffix(".bedside") for path in paths]
    if not names:
        raise UsageError("expected a bundle to serve, got none")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f'two bundles are called "{twice[0]}"; rename the folder of one')
    return names
