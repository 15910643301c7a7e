"""What can be planned: the variants of a bundle, or a student that was not trained yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ...runtime.bundles.bundle import Bundle
from ...runtime.engines import ENGINES, Precision, engine_entries
from ...runtime.errors import UsageError
from ...runtime.labels.postprocess import Postprocessing
from ...runtime.task import Task
from ..measurement.report import different_names
from .costs import ModelCost, model_cost
from .roofline import quantized_format

_SHOWN_DIGITS = 12  # of a hash of 64
_NAMED = 3  # organs of a task in a message; the rest are counted
_ONNX = {  # of a bundle: form of the quantized layers → the files that have it; the first that is there is counted
    "fp32": ("model.fp32.onnx",),
    "int8": ("model.int8.onnx", "model.int8-fp16.onnx"),
    "uint8": ("model.uint8.onnx",),
}


@dataclass(frozen=True)
class PlannedVariant:
    """A model in one precision.

    Attributes:
        cost: cost of one window.
        model_bytes: size of its files.
        dice: mean Dice; None where it was not measured.
    """

    cost: ModelCost
    model_bytes: int
    dice: float | None = None


@dataclass(frozen=True)
class PlannedModel:
    """A network to plan with.

    Attributes:
        name: the bundle's file name, or the student's.
        task: its task, with its window.
        overlap: the overlap of windows that it recommends.
        variants: (engine, precision) → the variant, or a sentence that says why it cannot be planned.
        postprocessing: what is removed from its label maps.
        dice_of: the scans that the Dice of the variants is of; Dice is compared only where these are the same, and with
            no other model's where it is empty.
        remark: what is assumed of it, as a sentence; empty where nothing is.
        sha256: `Bundle.sha256`; empty where it is no bundle.
    """

    name: str
    task: Task
    overlap: float
    variants: Mapping[tuple[str, Precision], PlannedVariant | str]
    postprocessing: Postprocessing = field(default_factory=Postprocessing)
    dice_of: str = ""
    remark: str = ""
    sha256: str = ""


def alternatives(models: Sequence[PlannedModel]) -> list[PlannedModel]:
    """Returns the models, numbered where two have the same name, after checking that each can stand in for the others.

    Raises:
        UsageError: two find different organs, or are of different modalities.
    """
    first = models[0]
    for other in models[1:]:
        if (first.task.modality, set(first.task.labels)) != (other.task.modality, set(other.task.labels)):
            raise UsageError(
                f"models: expected models of one task, which can stand in for each other; got {_described(first)} and "
                f"{_described(other)}; plan each task by itself (--task chooses that of students)"
            )
    names = different_names([model.name for model in models])
    return [replace(model, name=name) for model, name in zip(models, names, strict=True)]


def _described(model: PlannedModel) -> str:
    organs, task = model.task.labels[1:], model.task
    more = f" and {len(organs) - _NAMED} more" if len(organs) > _NAMED else ""
    return f'"{model.name}" (task {task.name}, {task.modality.value}: {", ".join(organs[:_NAMED])}{more})'


def model_of_bundle(bundle: Bundle) -> PlannedModel:
    """Counts the costs of a bundle's models, for every engine and precision.

    Raises:
        MissingExtraError: `onnx` is not installed.
        BundleError: a model cannot be read.
    """
    manifest = bundle.manifest
    counted = {base: [file for file in files if file in manifest.files][:1] for base, files in _ONNX.items()}
    costs = {base: model_cost(bundle.read(file)) for base, files in counted.items() for file in files}
    left_out = {(variant.engine, variant.precision): variant for variant in manifest.left_out}
    variants: dict[tuple[str, Precision], PlannedVariant | str] = {}
    for engine, entry in engine_entries():
        for precision in entry.precisions:
            cost = costs.get(quantized_format(precision) or "fp32")
            if not bundle.offers(engine, precision) or cost is None:
                failed = left_out.get((engine, precision))
                reason = f"failed the gate: {failed.gate_reason}" if failed else _missing(engine, precision)
                variants[engine, precision] = reason
                continue
            variant = bundle.variant(engine, precision)
            variants[engine, precision] = (
                f"failed the gate: {variant.gate_reason}"
                if variant.passed is False
                else PlannedVariant(cost, manifest.variant_bytes(variant), variant.mean_dice)
            )
    return PlannedModel(
        bundle.path.name,
        manifest.task,
        manifest.recommended_overlap,
        variants,
        manifest.postprocessing,
        # Where nothing tells which cases they were, no other bundle's are the same.
        dice_of=f"gate cases {(manifest.gate_data_hash or bundle.sha256)[:_SHOWN_DIGITS]}",
        remark="" if manifest.locator is None else "its locator is not counted, nor the windows that it leaves out",
        sha256=bundle.sha256,
    )


def _missing(engine: str, precision: Precision) -> str:
    if precision in ENGINES[engine].converts:
        return f"the bundle has no {precision} variant, which export measures where {engine} computes in it"
    return f"the bundle has no {precision} model; bedside export --precision makes one"
