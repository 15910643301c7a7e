"""Bundle and options of one `bedside segment` command, without the scan: small enough to send to a worker."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...runtime.errors import BundleError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from ...runtime.record import Outcome
    from ...runtime.reserved_scan import ReservedScan
    from ...runtime.scans.scan_source import ScanSource
    from ...runtime.segmentation_options import SegmentationOptions
    from ...runtime.segmenter import Segmenter


@dataclass(frozen=True, kw_only=True)
class SegmentJob:
    """Arguments of `Segmenter.load` and `Segmenter.reserve`; see there.

    Attributes:
        memory_limit: bytes one process may hold.
        bundle_sha256: SHA-256 of the only bundle that may be opened (`Bundle.sha256`); None for any.
    """

    bundle: Path
    options: SegmentationOptions
    engine: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    memory_limit: int | None = None
    device: str = "auto"
    trust: tuple[Path, ...] | None = None
    bundle_sha256: str | None = None

    def load(self) -> Segmenter:
        """Opens the bundle.

        Raises:
            BundleError: another bundle than that of ``bundle_sha256`` is there by now.
            BedsideError: what `Segmenter.load` raises.
        """
        from ...runtime.segmenter import Segmenter

        segmenter = Segmenter.load(
            self.bundle,
            self.engine,
            self.precision,
            self.threads,
            self.memory_limit,
            device=self.device,
            trust=self.trust,
        )
        if self.bundle_sha256 not in (None, segmenter.bundle.sha256):
            segmenter.close()
            raise BundleError(
                f'bundle "{self.bundle.name}" was replaced since the run began; bring it back, or begin anew (--force)'
            )
        return segmenter

    def reserve(
        self, segmenter: Segmenter, scan: Path | ScanSource, afterwards: int = 0
    ) -> AbstractContextManager[ReservedScan]:
        """Reserves the memory of one scan for the ``with`` block; raises what `Segmenter.reserve` raises.

        Args:
            segmenter: the opened bundle.
            scan: the scan.
            afterwards: bytes taken within the block beside the label map, once the scan is segmented.
        """
        return segmenter.reserve(scan, self.options, afterwards=afterwards)

    def like(self, earlier: Outcome) -> SegmentJob:
        """Returns the same job with engine, precision and device of an earlier label map where they are ``auto``."""
        engine = earlier.engine if self.engine == "auto" else None
        precision = earlier.precision if self.precision == "auto" else None
        device = earlier.device if self.device == "auto" else None
        return replace(
            self,
            engine=engine or self.engine,
            precision=precision or self.precision,
            device=device or self.device,
        )

    def for_several_machines(self) -> SegmentJob:
        """Returns the same job with the CPU, which every machine has, where the device is ``auto``."""
        from ...runtime.engines import CPU

        return replace(self, device=CPU) if self.device == "auto" else self

    def with_threads(self, threads: int) -> SegmentJob:
        """Returns the same job for another number of CPU threads."""
        return replace(self, threads=threads)

    def at_absolute_paths(self) -> SegmentJob:
        """Returns the same job for a process with another current folder."""
        trust = None if self.trust is None else tuple(path.absolute() for path in self.trust)
        return replace(self, bundle=self.bundle.absolute(), trust=trust)

    def for_record(self) -> dict[str, Any]:
        """Returns the options that may change labels, for the record; without paths, threads and memory limit."""
        import msgspec

        auto = {"engine": self.engine, "precision": self.precision, "device": self.device}
        return {**auto, **msgspec.json.decode(msgspec.json.encode(self.options))}
