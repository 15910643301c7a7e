"""Writes a bundle from a torch student: ONNX, int8, OpenVINO, their measured figures and the texts, all or nothing."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .. import __version__
from ..runtime import arguments
from ..runtime.bundles.bundle import write_manifest
from ..runtime.bundles.manifest import MANIFEST_NAME, Golden, Manifest, Precision, Provenance, TensorSpec, Variant
from ..runtime.callbacks import Progress
from ..runtime.errors import MissingExtraError, ResourceError, UsageError
from ..runtime.files.atomic import atomic_directory
from ..runtime.labels.postprocess import Postprocessing
from ..runtime.task import Task
from .gate import GateCase, gate_dice, judge
from .golden import GoldenPatch
from .model_card import licence_text, model_card
from .monai_metadata import monai_metadata
from .onnx_export import BATCH_NAME, INPUT_NAME, OUTPUT_NAME, student_to_onnx
from .openvino_ir import onnx_to_openvino
from .parity import affordable_patches, student_logits
from .patches import noise_patches, sample_patches
from .quantize import quantize_onnx
from .steps import Steps
from .variants import Source, compare_variant, has_bfloat16, offered

if TYPE_CHECKING:
    import torch

DEFAULT_OVERLAP = 0.5
DEFAULT_OVERLAP_REASON = "the default; not yet chosen by measurement"
_PAIRS = "a list of pairs (image, label map)"
_PARITY_PATCHES = 8


def export_bundle(
    model: torch.nn.Module,
    task: Task,
    out: Path,
    *,
    student: str,
    calibration: Sequence[Path] = (),
    gate: Sequence[GateCase] = (),
    gate_ignore: int | None = None,
    precisions: Sequence[Precision] = ("fp32", "int8"),
    teacher: str | None = None,
    lam: float | None = None,
    data_hash: str = "",
    training: Mapping[str, str] | None = None,
    overlap: float = DEFAULT_OVERLAP,
    overlap_reason: str = DEFAULT_OVERLAP_REASON,
    postprocessing: Postprocessing | None = None,
    licence: str = "Apache-2.0",
    patches: int = 16,
    threads: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Exports a student; the bundle appears at ``out`` complete, or not at all.

    Args:
        model: the student, logits [B, C, D, H, W] from [B, 1, D, H, W]; not modified.
        task: the task it was trained for; its patch becomes the fixed window.
        out: bundle directory to write.
        student: registered name of the student.
        calibration: scans to draw patches from, for int8 and for the comparison with the student.
        gate: (image, label map) pairs; the manifest records the Dice of each variant on them.
        gate_ignore: value of the gate's label maps that marks voxels to leave out; None compares all voxels.
        precisions: precisions of the models to write: "int8" and "fp32", which is always written. Where this machine
            computes in bfloat16, the bf16 variants of these models are measured and offered too; they need no files.
        teacher: name of the teacher; None without distillation.
        lam: λ of the distillation loss.
        data_hash: SHA-256 of the training data.
        training: further facts about the training for the model card, name → text.
        overlap: recommended overlap of windows, 0 ≤ overlap < 1.
        overlap_reason: how the overlap was chosen.
        postprocessing: what the bundle removes from every label map, those of the gate cases too; None for nothing.
        licence: SPDX identifier, or another statement of the licence.
        patches: number of calibration patches.
        threads: CPU threads of the measurements; None for all.
        force: whether to replace an existing bundle.
        progress: called when a step begins, and at the end, with (steps done, steps in total, note).

    Returns:
        ``out``.

    Raises:
        UsageError: options contradict each other, a label is not the task's, a bundle exists and ``force`` is off, or
            the model cannot be exported.
        InputError: a calibration or gate scan is refused.
        BundleError: the exported model does not compute what the student computes.
        MissingExtraError: onnx, onnxscript, nncf, openvino or torch is not installed.
        ResourceError: the bundle cannot be written, or memory is short.
    """
    out = arguments.path("out", out)
    task = arguments.instance("task", task, Task)
    student = arguments.text("student", student)
    calibration = _paths("calibration", calibration)
    gate = [_pair(case) for case in arguments.sequence("gate", gate, _PAIRS)]
    teacher = arguments.optional(arguments.text, "teacher", teacher)
    lam = arguments.optional(arguments.share, "lam", lam)
    overlap = arguments.overlap_share("overlap", overlap)
    threads = arguments.optional(arguments.whole_number, "threads", threads, 1, arguments.MOST_THREADS)
    patches = arguments.whole_number("patches", patches, 1)
    for name, words in (("data_hash", data_hash), ("overlap_reason", overlap_reason), ("licence", licence)):
        arguments.instance(name, words, str)
    facts = arguments.optional(arguments.instance, "training", training, Mapping) or {}
    arguments.optional(arguments.callback, "progress", progress, "progress(done, total, note)")
    _check_options(out, calibration, arguments.names("precisions", precisions), arguments.flag("force", force))
    asked = arguments.optional(arguments.instance, "postprocessing", postprocessing, Postprocessing)
    cleared = (asked or Postprocessing()).checked(task.labels)
    _check_packages("int8" in precisions)
    wanted: list[Precision] = ["fp32", "int8"] if "int8" in precisions else ["fp32"]
    shown = affordable_patches(task.patch_dhw, task.num_classes, _PARITY_PATCHES)
    bfloat16 = has_bfloat16()
    variants = offered(wanted, bfloat16)
    steps = Steps(1 + 2 * len(wanted) + len(variants) * (1 + len(gate)), progress)
    try:
        with atomic_directory(out, marker=MANIFEST_NAME) as folder:
            steps.begin("patches and the student's answers")
            source = _reference(model, task, calibration, shown)
            _write_models(folder, source, wanted, calibration, patches, steps)
            if not bfloat16:
                steps.remark("no bf16 variants: this CPU does not compute in bfloat16")
            variants = _compare(folder, source, variants, threads, steps)
            source.golden.save(folder)
            (folder / "LICENSE").write_text(licence_text(licence), encoding="utf-8")
            provenance = Provenance(
                code_version=__version__,
                created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                student=student,
                teacher=teacher,
                lam=lam,
                data_hash=data_hash,
                training=dict(facts),
            )
            manifest = _manifest(task, variants, (overlap, overlap_reason), cleared, provenance, licence)
            (folder / "metadata.json").write_text(monai_metadata(manifest), encoding="utf-8")
            if gate:
                manifest = _gated(folder, manifest, gate, gate_ignore, threads, steps)
            manifest = msgspec.structs.replace(manifest, variants=judge(manifest.variants))
            _describe(folder, manifest)
            write_manifest(folder, manifest)
    except OSError as error:
        raise ResourceError(f'"{out.name}": the bundle cannot be written ({error.strerror or error})') from error
    steps.finish()
    return out


def _manifest(
    task: Task,
    variants: Sequence[Variant],
    overlap: tuple[float, str],
    postprocessing: Postprocessing,
    provenance: Provenance,
    licence: str,
) -> Manifest:
    """Returns the manifest of a model from `student_to_onnx`; ``overlap`` is (overlap, reason)."""
    return Manifest(
        task=task,
        variants=tuple(variants),
        input=TensorSpec(name=INPUT_NAME, shape=(BATCH_NAME, 1, *task.patch_dhw)),
        output=TensorSpec(name=OUTPUT_NAME, shape=(BATCH_NAME, task.num_classes, *task.patch_dhw)),
        recommended_overlap=overlap[0],
        overlap_reason=overlap[1],
        postprocessing=postprocessing,
        provenance=provenance,
        licence=licence,
        intended_use=task.intended_use,
        golden=Golden(),
    )


def _paths(name: str, given: object) -> list[Path]:
    return [arguments.path(name, each) for each in arguments.sequence(name, given, "a list of paths")]


def _pair(case: object) -> GateCase:
    paths = _paths("gate", case)
    if len(paths) != 2:
        arguments.refuse("gate", _PAIRS, case)
    return paths[0], paths[1]


def _check_options(out: Path, calibration: Sequence[Path], precisions: Sequence[str], force: bool) -> None:
    unknown = [precision for precision in precisions if precision not in ("fp32", "int8")]
    if unknown or not precisions:
        raise UsageError(f"precision: expected fp32 or fp32,int8, got {', '.join(unknown) or 'none'}")
    if "int8" in precisions and not calibration:
        raise UsageError("int8 is calibrated on scans; give calibration scans, or export fp32 only")
    if out.is_dir() and any(out.iterdir()):
        if not (out / MANIFEST_NAME).is_file():
            raise UsageError(f'"{out.name}" is a folder with other content; choose another path for the bundle')
        if not force:
            raise UsageError(f'"{out.name}" holds a bundle already; give --force to replace it, or choose another path')
    elif out.exists() and not out.is_dir():
        raise UsageError(f'"{out.name}" is a file; choose another path for the bundle')


def _check_packages(int8: bool) -> None:
    """Raises for a missing package before the export begins, not after minutes of work."""
    needed = {"torch": "train", "onnx": "export", "onnxscript": "export", "openvino": "export"}
    for package, extra in (needed | {"nncf": "export"} if int8 else needed).items():
        if find_spec(package) is None:
            raise MissingExtraError(package, extra)


def _reference(model: torch.nn.Module, task: Task, calibration: Sequence[Path], count: int) -> Source:
    """Draws the comparison's patches, other than those of the calibration, and runs the student on them."""
    import torch

    model = arguments.instance("model", model, torch.nn.Module)
    student = copy.deepcopy(model).to(torch.device("cpu"), torch.float32).eval()
    drawn = sample_patches(calibration, task, count, seed=1) if calibration else noise_patches(task, count)
    reference = [student_logits(student, patch) for patch in drawn]
    expected = (1, task.num_classes, *task.patch_dhw)
    if reference[0].shape != expected:
        raise UsageError(f"the student returns {reference[0].shape}; the task wants {expected} [1, C, D, H, W]")
    return Source(student, task, drawn, reference, GoldenPatch.answered(student, task))


def _write_models(
    folder: Path, source: Source, precisions: Sequence[Precision], calibration: Sequence[Path], count: int, steps: Steps
) -> None:
    steps.begin("ONNX fp32")
    model = student_to_onnx(source.student, source.task.patch_dhw)
    (folder / "model.fp32.onnx").write_bytes(model.SerializeToString(deterministic=True))
    if "int8" in precisions:
        steps.begin("quantization to int8")
        quantized = quantize_onnx(model, sample_patches(calibration, source.task, count))
        (folder / "model.int8.onnx").write_bytes(quantized.SerializeToString(deterministic=True))
    for precision in precisions:
        steps.begin(f"OpenVINO {precision}")
        onnx_to_openvino(folder / f"model.{precision}.onnx", folder / "openvino" / f"model.{precision}.xml")


def _compare(
    folder: Path, source: Source, variants: Sequence[Variant], threads: int | None, steps: Steps
) -> list[Variant]:
    measured: list[Variant] = []
    for variant in variants:
        steps.begin(f"parity of {variant.engine} {variant.precision}")
        measured.append(compare_variant(variant, folder, source, threads))
    return measured


def _gated(
    folder: Path, manifest: Manifest, gate: Sequence[GateCase], ignore: int | None, threads: int | None, steps: Steps
) -> Manifest:
    """Segments the gate cases with each variant of the unfinished bundle, and returns the manifest with their Dice."""
    write_manifest(folder, manifest)
    measured: list[Variant] = []
    for variant in manifest.variants:
        starting = partial(steps.begin, f"gate case with {variant.engine} {variant.precision}")
        dice = gate_dice(folder, variant, gate, threads=threads, ignore=ignore, starting=starting)
        measured.append(msgspec.structs.replace(variant, dice=dice))
    return msgspec.structs.replace(manifest, variants=tuple(measured))


def _describe(folder: Path, manifest: Manifest) -> None:
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    (folder / "README.md").write_text(model_card(manifest, sizes), encoding="utf-8")
