"""Adds a locator to an unfinished bundle: writes and compares its network, chooses its settings, and judges it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ...runtime.bundles.bundle import Bundle
from ...runtime.bundles.locator_entry import LOCATOR_GOLDEN_LABELS, LocatorEntry
from ...runtime.bundles.manifest import Manifest
from ...runtime.bundles.manifest_writer import write_manifest
from ...runtime.bundles.variant import Variant
from ...runtime.errors import BundleError, UsageError
from ...runtime.hooks import Hooks
from ...runtime.locator import ENGINE, Locator
from ...runtime.request import SegmentationRequest
from ...runtime.scans.open_scan import open_scan
from ...runtime.task import Task
from ...training.data.organ_masks import read_truth
from ...training.trained_student import TrainedStudent
from ..cases import ExportCases
from ..exact_model import write_exact
from ..onnx_graphs.onnx_export import student_to_onnx
from ..progress import ExportSteps
from ..reference import Reference
from .gate import measure_locator
from .settings import LocatedCase, choose_settings, organ_recalls, organ_voxels

if TYPE_CHECKING:
    import onnx


def check_locator(locator: TrainedStudent, task: Task, cases: ExportCases) -> None:
    """Checks, before minutes of work, that a locator can be added to a student's bundle.

    Raises:
        UsageError: it was trained for another task, or there are no two scans with organs to measure it on.
    """
    differing = task.differing(locator.task, but=("spacing", "patch"))
    if differing:
        raise UsageError(
            f"the locator's task differs from the student's in: {', '.join(differing)}; train it for that task"
        )
    if len(cases.gate) < 2:
        raise UsageError(
            "a locator is measured on at least two held-out scans with organs in their label maps, got "
            f"{len(cases.gate) or 'none'}; give --calibration DATASET with a test or validation list, and --gate 2 or "
            "more"
        )


def locator_steps(cases: ExportCases) -> int:
    """Returns the number of steps of `add_locator`."""
    return 1 + 3 * len(cases.gate)


def add_locator(
    folder: Path,
    manifest: Manifest,
    locator: TrainedStudent,
    cases: ExportCases,
    threads: int | None,
    steps: ExportSteps,
) -> Manifest:
    """Adds a locator to the directory of an unfinished bundle, unless an organ loses more than 0.002 Dice by it.

    Args:
        folder: the directory; complete but for the locator.
        manifest: its manifest.
        locator: the network and the facts of its training.
        cases: at least two gate cases.
        threads: CPU threads; None for all.
        steps: one step for the network, one for each gate case, and two to judge with each.

    Returns:
        The manifest with the locator, or with the reason for leaving it out; not written yet.

    Raises:
        BundleError: the exported network does not compute what the torch network computes.
    """
    entry = LocatorEntry(
        spacing=locator.task.spacing,
        patch=locator.task.patch,
        threshold=0.5,
        margin_mm=0.0,
        golden_labels=LOCATOR_GOLDEN_LABELS,
        network=locator.student,
        data_hash=locator.learned_from.data_hash,
        cases=len(cases.gate),
    )
    steps.begin("locator: ONNX")
    _write_network(folder, entry, entry.task(manifest.task), locator, cases, threads, steps)
    provisional = write_manifest(folder, msgspec.structs.replace(manifest, locator=entry))
    located, step_mm = [*_located(folder, cases, threads, steps)], max(entry.spacing)
    settings = choose_settings(located, step_mm)
    if settings is None:
        return _left_out(folder, manifest, entry, "it misses organs of the gate cases by more than ten of its voxels")
    recall = organ_recalls(located, settings.threshold, manifest.task.labels)
    entry = msgspec.structs.replace(
        entry,
        threshold=settings.threshold,
        margin_mm=settings.margin_mm,
        recall=settings.recall,
        organ_recall=recall,
    )

    def leave_out(number: int) -> None:
        others = choose_settings([*located[:number], *located[number + 1 :]], step_mm)
        if others is None:  # which is not so where all cases together have settings
            raise ValueError("expected settings from all cases but one, got none")
        without = msgspec.structs.replace(entry, threshold=others.threshold, margin_mm=others.margin_mm)
        write_manifest(folder, msgspec.structs.replace(provisional, locator=without))

    fp32 = next(variant for variant in manifest.variants if variant.precision == "fp32")
    begin = partial(steps.begin, "gate case with and without locator")
    figures = replace(measure_locator(folder, fp32, cases, threads, begin, leave_out), recall=recall)
    if figures.failure:
        return _left_out(folder, manifest, entry, figures.failure)
    entry = msgspec.structs.replace(entry, windows_saved=figures.windows_saved, dice_loss=figures.loss)
    return msgspec.structs.replace(manifest, locator=entry)


def _write_network(
    folder: Path,
    entry: LocatorEntry,
    task: Task,
    locator: TrainedStudent,
    cases: ExportCases,
    threads: int | None,
    steps: ExportSteps,
) -> None:
    """Writes ONNX and golden patch, and compares the ONNX with the torch network on patches of the gate cases."""
    from .any_organ import AnyOrgan

    images = ExportCases(calibration=[image for image, _ in cases.gate])
    reference = Reference.from_student(AnyOrgan(locator.model), task, images)
    reference.golden.save(folder, entry.golden)
    exported = student_to_onnx(reference.network, task.patch.dhw)
    variant = Variant(precision="fp32", engine=ENGINE, file=entry.file)

    def write(model: onnx.ModelProto) -> None:
        (folder / entry.file).write_bytes(model.SerializeToString(deterministic=True))

    write_exact(exported, write, reference, [variant], folder, threads, steps.remark)
    reference.measure(variant, folder, threads)


def _located(folder: Path, cases: ExportCases, threads: int | None, steps: ExportSteps) -> Iterator[LocatedCase]:
    """Yields the gate cases as the locator of an unfinished bundle sees them."""
    with Bundle.open(folder) as bundle:
        locator = Locator.open(bundle, threads)
        if locator is None:
            raise ValueError("expected a bundle with a locator, got one without")
        with closing(locator):
            for image, label in cases.gate:
                steps.begin("locator: search in a gate case")
                request = SegmentationRequest(open_scan(image), bundle.task, bundle.manifest.recommended_overlap)
                result = locator.search(request, locator.plan(request), Hooks())
                if result.run.not_finite:
                    raise BundleError("the locator's output holds NaN or infinity; train it again before exporting")
                yield LocatedCase(result.received, organ_voxels(read_truth(label), result.received.grid, cases.ignore))


def _left_out(folder: Path, manifest: Manifest, entry: LocatorEntry, reason: str) -> Manifest:
    for name in entry.files:
        (folder / name).unlink()
    return msgspec.structs.replace(manifest, locator=None, locator_left_out=reason)
