"""Writes the results of one series into its folder: the segmentation, and what its rule asks for besides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...runtime.result import Result
from ...runtime.segmenter import Segmenter
from ..references import ResultIdentity
from ..report import write_report
from ..segmentation import write_segmentation
from ..series import DicomSeries
from ..structure_set import write_structure_set
from .outcome import Outcome
from .rules import Rule
from .series_folder import SeriesFolder


@dataclass(frozen=True)
class Identities:
    """Makes the UIDs of results from what they are made of: made again, they are the same.

    Attributes:
        uid: makes a UID of some words.
        series: key of the series.
        rule: the rule.
        bundle_sha256: hash of the bundle.
        outcome: the set of instances.
    """

    uid: Callable[..., str]
    series: str
    rule: Rule
    bundle_sha256: str
    outcome: Outcome

    def of(self, kind: str) -> ResultIdentity:
        """Returns the UIDs of a kind of result: ``"seg"``, ``"sr"`` or ``"rtstruct"``."""
        return ResultIdentity(
            series_uid=self.uid("series", kind, self.series, self.rule.name),
            instance_uid=self.uid(
                "instance", kind, self.series, self.outcome.digest, self.rule.name, self.bundle_sha256, self.rule.kind
            ),
            instance_number=self.outcome.instances,  # a series that grew has more, also after it was removed
        )


def write_results(
    folder: SeriesFolder, scan: DicomSeries, result: Result, segmenter: Segmenter, identities: Identities
) -> list[str]:
    """Writes the results that a series' rule asks for; returns the names of their files, the segmentation first.

    Raises:
        InputError: the series' header permits no such result.
        ResourceError: the disk does not take it.
    """
    names, rule, sha256 = segmenter.task.labels, identities.rule, identities.bundle_sha256
    files = {kind: f"{identities.outcome.digest}-{kind}.dcm" for kind in ("seg", "sr", "rtstruct")}
    paths = {kind: folder.result_folder / file for kind, file in files.items()}
    write_segmentation(
        paths["seg"],
        result.labels,
        names,
        scan,
        bundle_sha256=sha256,
        kind=rule.kind,
        identity=identities.of("seg"),
    )
    written = ["seg"]
    if rule.report:
        own = identities.of("sr")
        write_report(paths["sr"], result.volumes_ml, names, scan, paths["seg"], bundle_sha256=sha256, identity=own)
        written.append("sr")
    if rule.contours:
        own = identities.of("rtstruct")
        write_structure_set(paths["rtstruct"], result.labels, names, scan, bundle_sha256=sha256, identity=own)
        written.append("rtstruct")
    return [files[kind] for kind in written]
