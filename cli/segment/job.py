"""Bundle and options of one `bedside segment` command, without the scan: small enough to send to a worker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...runtime.errors import BundleError

if TYPE_CHECKING:
    from ...runtime.engine_selection.engine_request import EngineRequest
    from ...runtime.record import Outcome
    from ...runtime.segmentation_options import SegmentationOptions
    from ...runtime.segmenter import Segmenter


@dataclass(frozen=True, kw_only=True)
class SegmentJob:
    """Bundle, engine and options, the same for every scan.

    Attributes:
        bundle: bundle directory or zip.
        engine: the engine, and what one process may use of the machine.
        options: as `Segmenter.reserve` takes them.
        trust: as in `Segmenter.load`.
        bundle_sha256: SHA-256 of the only bundle that may be opened (`Bundle.sha256`); None for any.
    """

    bundle: Path
    engine: EngineRequest
    options: SegmentationOptions
    trust: tuple[Path, ...] | None = None
    bundle_sha256: str | None = None

    def load(self) -> Segmenter:
        """Opens the bundle.

        Raises:
            BundleError: another bundle than that of ``bundle_sha256`` is there by now.
            BedsideError: what `Segmenter.load` raises.
        """
        from ...runtime.segmenter import Segmenter

        segmenter = Segmenter.open(self.bundle, self.engine, self.trust)
        if self.bundle_sha256 not in (None, segmenter.bundle.sha256):
            segmenter.close()
            raise BundleError(
                f'bundle "{self.bundle.name}" was replaced since the run began; bring it back, or begin anew (--force)'
            )
        return segmenter

    def like(self, earlier: Outcome) -> SegmentJob:
        """Returns the same job with engine, precision and device of an earlier label map where they are ``auto``."""
        settled = self.engine.with_auto_as(earlier.engine, earlier.precision, earlier.device)
        return replace(self, engine=settled)

    def for_several_machines(self) -> SegmentJob:
        """Returns the same job with the CPU, which every machine has, where the device is ``auto``."""
        from ...runtime.engines import CPU

        return replace(self, engine=self.engine.with_auto_as(device=CPU))

    def with_threads(self, threads: int) -> SegmentJob:
        """Returns the same job for another number of CPU threads."""
        return replace(self, engine=replace(self.engine, threads=threads))

    def at_absolute_paths(self) -> SegmentJob:
        """Returns the same job for a process with another current folder."""
        trust = None if self.trust is None else tuple(path.absolute() for path in self.trust)
        return replace(self, bundle=self.bundle.absolute(), trust=trust)

    def for_record(self) -> dict[str, Any]:
        """Returns the options that may change labels, for the record; without paths, threads and memory limit."""
        import msgspec

        asked = self.engine
        setting = {"engine": asked.engine, "precision": asked.precision, "device": asked.device}
        return {**setting, **msgspec.json.decode(msgspec.json.encode(self.options))}
