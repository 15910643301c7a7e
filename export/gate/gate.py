"""Runs the gate over the variants of an unfinished bundle: overlap, Dice, verdicts, times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from ...runtime.bundles.manifest import Manifest
from ...runtime.bundles.variant import Variant
from ...runtime.engines import ENGINES
from ..cases import ExportCases
from ..golden import GoldenPatch
from ..options import ExportOptions
from ..parity import NotFiniteError
from ..progress import ExportSteps
from .dice import VariantScores, dice_drops, segment_cases, spurious_volumes
from .overlap import OVERLAPS, overlap_curve, recommended
from .times import this_machine, timed_variants
from .verdict import judge, without_figures


@dataclass(frozen=True, eq=False)
class GateResult:
    """The outcome of the gate.

    Attributes:
        manifest: the manifest with all figures and verdicts.
        scores: name of the variant → its results on the gate cases; empty without gate cases.
    """

    manifest: Manifest
    scores: Mapping[str, VariantScores]


@dataclass(frozen=True, eq=False)
class Gate:
    """Measures the variants of a bundle and judges them.

    Attributes:
        folder: directory of the bundle, complete but for these figures.
        cases: the scans of the export.
        options: options of the export.
        steps: progress of the export.
    """

    folder: Path
    cases: ExportCases
    options: ExportOptions
    steps: ExportSteps

    @staticmethod
    def step_count(variants: int, cases: ExportCases, options: ExportOptions) -> int:
        """Returns the number of steps that `run` will begin."""
        overlaps = len(OVERLAPS) if options.overlap is None else 0
        return len(cases.gate) * overlaps + (len(cases.gate) + len(cases.without_organ)) * variants + variants

    def run(self, manifest: Manifest, golden: GoldenPatch) -> GateResult:
        """Measures and judges the variants.

        Args:
            manifest: the manifest of the bundle, whose variants were compared with the student. What is left out of it
                stays so.
            golden: the window to time the variants with.

        Raises:
            InputError: a gate case is refused.
            BundleError: a variant cannot be opened, or fp32 returns NaN or infinity in a window of a gate case.
        """
        manifest = self._with_overlap(manifest)
        manifest, scores = self._scored(manifest)
        judged = judge(_with_dice(manifest.variants, scores))
        timed = timed_variants(judged, self.folder, golden.patch, self.options.threads, self._begin_timing)
        left_out = () if self.options.keep_failed else tuple(each for each in timed if each.passed is False)
        manifest = msgspec.structs.replace(
            manifest,
            variants=tuple(variant for variant in timed if variant not in left_out),
            left_out=manifest.left_out + left_out,
            gate_cases=len(self.cases.gate),
            gate_data_hash=self.cases.gate_data_hash(),
            timed_on=this_machine(self.options.threads),
        )
        return GateResult(manifest, scores)

    def _with_overlap(self, manifest: Manifest) -> Manifest:
        """Returns the manifest with the overlap that the gate cases recommend, unless the caller chose one."""
        if not self.cases.gate or self.options.overlap is not None:
            return manifest
        preferred = _preferred_exact(manifest.variants)
        curve = overlap_curve(
            self.folder,
            preferred,
            self.cases.gate,
            threads=self.options.threads,
            ignore=self.cases.ignore,
            starting=lambda overlap: self.steps.begin(f"gate case with overlap {overlap:g}"),
        )
        chosen = recommended(curve, preferred.name)
        return msgspec.structs.replace(
            manifest, overlap_curve=curve, recommended_overlap=chosen.overlap, overlap_reason=chosen.reason
        )

    def _scored(self, manifest: Manifest) -> tuple[Manifest, dict[str, VariantScores]]:
        """Returns the manifest without the variants that return NaN or infinity, and the results of the others."""
        cases = (*self.cases.gate, *self.cases.without_organ)
        if not cases:
            return manifest, {}
        scores: dict[str, VariantScores] = {}
        broken: list[Variant] = []
        for variant in manifest.variants:
            try:
                scores[variant.name] = segment_cases(
                    self.folder,
                    variant,
                    cases,
                    threads=self.options.threads,
                    ignore=self.cases.ignore,
                    overlap=manifest.recommended_overlap,
                    starting=partial(self.steps.begin, f"gate case with {variant.name}"),
                )
            except NotFiniteError as error:
                if variant.precision == "fp32":
                    raise
                broken.append(without_figures(variant, str(error)))
        kept = tuple(variant for variant in manifest.variants if variant.name in scores)
        left_out = (*manifest.left_out, *broken)
        return msgspec.structs.replace(manifest, variants=kept, left_out=left_out), scores

    def _begin_timing(self, variant: Variant) -> None:
        self.steps.begin(f"time of {variant.name}")


def exact_counterpart(variant: Variant, variants: Sequence[Variant]) -> Variant:
    """Returns the fp32 variant that a variant is compared with: with the same engine, or else the preferred engine."""
    own = [each for each in variants if each.precision == "fp32" and each.engine == variant.engine]
    return own[0] if own else _preferred_exact(variants)


def _preferred_exact(variants: Sequence[Variant]) -> Variant:
    engines = list(ENGINES)
    return min((each for each in variants if each.precision == "fp32"), key=lambda each: engines.index(each.engine))


def _with_dice(variants: Sequence[Variant], scores: Mapping[str, VariantScores]) -> list[Variant]:
    """Returns the variants with their Dice and, but for fp32, what they lost."""
    measured: list[Variant] = []
    for variant in variants:
        if variant.name in scores:
            own, reference = scores[variant.name], scores[exact_counterpart(variant, variants).name]
            variant = msgspec.structs.replace(variant, dice=own.organ_means)
            if own is not reference:
                variant = msgspec.structs.replace(variant, spurious=spurious_volumes(own, reference))
            drops = None if own is reference else dice_drops(own, reference)
            if drops is not None:
                variant = msgspec.structs.replace(variant, dice_drop=drops.mean, organ_drops=drops.organs)
        measured.append(variant)
    return measured
