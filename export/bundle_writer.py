"""Writes a bundle from a torch student: models, their measured figures and the texts, all or nothing."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import msgspec

from .. import __version__
from ..runtime import arguments
from ..runtime.bundles.figures import SensitiveLayer
from ..runtime.bundles.golden_files import GOLDEN_FILES
from ..runtime.bundles.manifest import MANIFEST_NAME, WEIGHTS_NAME, Manifest, Provenance, TensorSpec
from ..runtime.bundles.manifest_writer import write_manifest
from ..runtime.bundles.signing import sign_bundle
from ..runtime.bundles.variant import Variant
from ..runtime.errors import MissingExtraError, ResourceError, UsageError
from ..runtime.files.atomic import atomic_directory
from ..runtime.hooks import Progress
from ..runtime.labels.postprocess import Postprocessing
from ..training.trained_student import TrainedStudent
from .cases import ExportCases
from .exact_model import write_exact
from .gate.gate import Gate
from .gate.overlap import DEFAULT_OVERLAP
from .gate.page import check_page, write_parity_page
from .locator.adding import add_locator, check_locator, locator_steps
from .model_card import SCANS_LEARNED_FROM, licence_text, model_card
from .model_files import FORMS, ONNX_ALONE, offered_variants, remove_unused_models, write_model
from .monai_metadata import monai_metadata
from .onnx_graphs.onnx_export import BATCH_NAME, INPUT_NAME, OUTPUT_NAME
from .onnx_models import OnnxModels
from .options import DEFAULT_OVERLAP_REASON, ExportOptions
from .progress import ExportSteps
from .reference import Reference
from .sbom import SBOM_NAME, sbom
from .scan_warnings import ScanWarnings
from .threads import torch_threads

_log = logging.getLogger("bedside.export")


def export_bundle(
    student: TrainedStudent,
    out: str | os.PathLike[str],
    options: ExportOptions,
    progress: Progress | None = None,
) -> Path:
    """Exports a student; the bundle appears at ``out`` complete, or not at all. Its page is written after it.

    A warning is logged where too few gate cases are held out or not known to be, where they chose the student's epoch,
    where scans are unusual for the task, for every variant that failed at the gate, and where the locator is left out.

    Args:
        student: as `bedside.distill.load_student` returns it, or made of a network at hand; not modified. The patch of
            its task becomes the fixed window.
        out: bundle directory to write.
        options: scans, precisions and what the bundle declares.
        progress: called when a step begins, and at the end, with (steps done, steps in total, note).

    Returns:
        ``out`` as a path.

    Raises:
        UsageError: an argument has another type, a label of the post-processing is not the task's, a bundle exists and
            ``force`` is off, the model cannot be exported, or the locator belongs to another task or has no gate case.
        InputError: the data set, or a calibration or gate scan is refused.
        BundleError: the exported model does not compute what the student computes.
        MissingExtraError: onnx, onnxscript, nncf, openvino or torch is not installed, or, for a page, matplotlib or
            jinja2.
        ResourceError: the bundle or its page cannot be written, or memory is short.
    """
    arguments.instance("student", student, TrainedStudent, "open one with load_student")
    out = arguments.path("out", out)
    options = arguments.instance("options", options, ExportOptions)
    arguments.optional(arguments.callback, "progress", progress, "done", "total", "note")
    _postprocessing(student, options).check(student.task.labels)
    _check_output(out, options.force)
    _check_packages(options)
    if options.page is not None:
        check_page(Path(options.page), out)
    locator = options.locator
    trained_on = {"the student": student.learned_from}
    if locator is not None:
        trained_on["the locator"] = locator.learned_from
    if progress is not None and options.dataset is not None:
        progress(0, 1, "scans: reading label maps, comparing files with those of the training")
    cases = options.chosen_cases(student.task, trained_on)
    if cases.warning and (cases.gate or options.gate_cases):
        _log.warning("%s", cases.warning)
    if single := _single_scan(cases, options):
        _log.warning("%s", single)

    if locator is not None:
        check_locator(locator, student.task, cases)
    forms = ONNX_ALONE if options.onnx_only else FORMS
    variants = offered_variants(options.model_precisions, forms)
    further = (options.page is not None) + (0 if locator is None else locator_steps(cases))
    gate_steps = Gate.step_count(len(variants), cases, options)
    models_written = len(options.model_precisions)
    scan_warnings = ScanWarnings(cases)
    steps = ExportSteps(1 + models_written + len(variants) + gate_steps + further, progress)
    try:
        with torch_threads(options.threads), atomic_directory(out, marker=MANIFEST_NAME) as folder:
            steps.begin("patches and the student's logits")
            reference = Reference.from_student(student.model, student.task, cases, note=scan_warnings.note)
            reference.golden.save(folder, GOLDEN_FILES)
            if options.trainable:
                _write_weights(folder, student)
            models = OnnxModels(reference, cases, options, steps.remark, scan_warnings.note)
            _write_models(folder, models, variants, options, steps)
            measured = _compared(folder, reference, variants, options, steps)
            manifest = _manifest(student, measured, models.sensitive_layers, cases, options)
            gate = Gate(folder, cases, options, steps)
            result = gate.run(write_manifest(folder, manifest), reference.golden)
            remove_unused_models(folder, options.model_precisions, result.manifest.variants)
            manifest = write_manifest(folder, result.manifest)
            if locator is not None:
                manifest = add_locator(folder, manifest, locator, cases, options.threads, steps)
                manifest = write_manifest(folder, manifest)
            if options.scan_hashes:
                _write_learned_from(folder, student, None if manifest.locator is None else locator)
            manifest = write_manifest(folder, _with_scan_warnings(manifest, scan_warnings))
            manifest = _with_texts(folder, manifest)
            if options.sign is not None:
                sign_bundle(folder, options.sign)
    except OSError as error:
        raise ResourceError(f'"{out.name}": the bundle cannot be written ({error.strerror or error})') from error
    if options.page is not None:
        steps.begin("the parity page")
        try:
            write_parity_page(Path(options.page), manifest, cases, result.scores)
        except (OSError, ResourceError) as error:
            raise ResourceError(f'{error}; the bundle "{out.name}" is complete') from error
    steps.finish()
    for warning in scan_warnings.lines:
        _log.warning("%s", warning)
    for variant in manifest.failed:
        _log.warning("%s failed at the gate: %s", variant.name, variant.gate_reason)
    if manifest.locator_left_out:
        _log.warning("the locator is left out: %s", manifest.locator_left_out)
    return out


def _single_scan(cases: ExportCases, options: ExportOptions) -> str | None:
    return cases.single_scan if options.int8 or options.uint8 else None


def _postprocessing(student: TrainedStudent, options: ExportOptions) -> Postprocessing:
    return options.postprocessing or student.postprocessing or Postprocessing()


def _check_output(out: Path, force: bool) -> None:
    if out.suffix == ".zip":
        raise UsageError(
            f'export writes a folder, got "{out.name}": leave ".zip" out, and zip it with bedside bundle zip'
        )
    if out.is_dir() and any(out.iterdir()):
        if not (out / MANIFEST_NAME).is_file():
            raise UsageError(f'"{out.name}" is a folder with other content; choose another path for the bundle')
        if not force:
            raise UsageError(f'"{out.name}" holds a bundle already; give --force to replace it, or choose another path')
    elif out.exists() and not out.is_dir():
        raise UsageError(f'"{out.name}" is a file; choose another path for the bundle')


def _check_packages(options: ExportOptions) -> None:
    """Raises for a missing package before the export begins, not after minutes of work."""
    needed = {"torch": "train", "onnx": "export", "onnxscript": "export", "openvino": "export"}
    if options.fp16:
        needed["onnxconverter_common"] = "export"
    if options.int8:
        needed["nncf"] = "export"
    for package, extra in needed.items():
        if find_spec(package) is None:
            raise MissingExtraError(package, extra)


def _write_weights(folder: Path, student: TrainedStudent) -> None:
    from ..training.loop.checkpoint import save_weights

    save_weights(folder / WEIGHTS_NAME, student.model)


def _write_learned_from(folder: Path, student: TrainedStudent, locator: TrainedStudent | None) -> None:
    learned = student.learned_from if locator is None else student.learned_from.joined(locator.learned_from)
    if learned.names_scans:
        learned.save(folder)


def _write_models(
    folder: Path, models: OnnxModels, variants: Sequence[Variant], options: ExportOptions, steps: ExportSteps
) -> None:
    forms = ONNX_ALONE if options.onnx_only else FORMS
    for precision in options.model_precisions:
        steps.begin(f"model in {precision}")
        write = partial(write_model, folder, precision, forms)
        if precision != "fp32":
            write(models.model(precision))
            continue
        exact = [variant for variant in variants if variant.precision == "fp32"]
        write_exact(models.model("fp32"), write, models.reference, exact, folder, options.threads, steps.remark)


def _compared(
    folder: Path, reference: Reference, variants: list[Variant], options: ExportOptions, steps: ExportSteps
) -> tuple[Variant, ...]:
    """Returns the variants with their closeness to the student."""
    if not any("bf16" in variant.precision for variant in variants):
        steps.remark("no bf16 variants: this CPU does not compute in bfloat16")
    measured: list[Variant] = []
    for variant in variants:
        steps.begin(f"parity of {variant.name}")
        measured.append(reference.measure(variant, folder, options.threads))
    return tuple(measured)


def _with_scan_warnings(manifest: Manifest, warnings: ScanWarnings) -> Manifest:
    """Returns the manifest with the warnings about scans that calibrated or judged the variants."""
    if not warnings.lines:
        return manifest
    training = {**manifest.provenance.training, "scans": "; ".join(warnings.lines)}
    provenance = msgspec.structs.replace(manifest.provenance, training=training)
    return msgspec.structs.replace(manifest, provenance=provenance)


def _with_texts(folder: Path, manifest: Manifest) -> Manifest:
    """Writes licence, model card, metadata and bill of materials; returns the manifest that lists them too."""
    texts = {
        "LICENSE": licence_text(manifest.licence),
        "README.md": model_card(manifest),
        "metadata.json": monai_metadata(manifest),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    manifest = write_manifest(folder, manifest)
    (folder / SBOM_NAME).write_text(sbom(manifest), encoding="utf-8")
    return write_manifest(folder, manifest)


def _manifest(
    student: TrainedStudent,
    measured: tuple[Variant, ...],
    sensitive_layers: tuple[SensitiveLayer, ...],
    cases: ExportCases,
    options: ExportOptions,
) -> Manifest:
    task = student.task
    training = {name: value for name, value in student.metrics.items() if value}
    if student.learned_from.knows_all:
        training[SCANS_LEARNED_FROM] = str(len(student.learned_from.scans))
    care = cases.warning if cases.gate else _single_scan(cases, options)
    if care:
        training["gate"] = care
    return Manifest(
        task=task,
        variants=tuple(variant for variant in measured if variant.passed is not False),
        left_out=tuple(variant for variant in measured if variant.passed is False),  # of NaN, no figure says anything
        sensitive_layers=sensitive_layers,
        input=TensorSpec(name=INPUT_NAME, shape=(BATCH_NAME, 1, *task.patch.dhw)),
        output=TensorSpec(name=OUTPUT_NAME, shape=(BATCH_NAME, task.num_classes, *task.patch.dhw)),
        recommended_overlap=DEFAULT_OVERLAP if options.overlap is None else options.overlap,
        overlap_reason=DEFAULT_OVERLAP_REASON if options.overlap is None else options.overlap_reason,
        postprocessing=_postprocessing(student, options),
        provenance=Provenance(
            code_version=__version__,
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            student=student.student,
            teacher=student.teacher,
            lam=student.lam,
            data_hash=student.learned_from.data_hash,
            training=training,
        ),
        licence=options.licence or student.licence,
        intended_use=task.intended_use,
        golden=GOLDEN_FILES,
    )
