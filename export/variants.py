"""Lists the variants of a bundle, and compares each with the student."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..runtime.bundles.manifest import Precision, Variant
from ..runtime.engines import open_engine, supports
from ..runtime.task import Task
from .golden import GoldenPatch
from .parity import Logits, check_fp32, compare
from .patches import Patches

if TYPE_CHECKING:
    import torch

_IN_BFLOAT16: dict[Precision, Precision] = {"fp32": "bf16", "int8": "int8-bf16"}


@dataclass(frozen=True)
class Source:
    """The student to export.

    Attributes:
        student: network in evaluation mode, on the CPU.
        task: the task it was trained for.
        patches: the comparison's patches, [1, 1, D, H, W] each.
        reference: the student's logits of each patch, [1, C, D, H, W].
        golden: the golden patch with the student's logits.
    """

    student: torch.nn.Module
    task: Task
    patches: Patches
    reference: list[Logits]
    golden: GoldenPatch


def has_bfloat16() -> bool:
    """Returns whether this machine computes in bfloat16, so that such variants can be measured."""
    return supports("openvino", "bf16")


def offered(precisions: Sequence[Precision], bfloat16: bool) -> list[Variant]:
    """Returns the variants of the written models, without measured figures.

    Args:
        precisions: precisions of the written models: "fp32" and "int8".
        bfloat16: whether to add the variants that run OpenVINO's models in bfloat16.
    """
    variants: list[Variant] = []
    for precision in precisions:
        variants.append(Variant(precision=precision, engine="onnxruntime", file=f"model.{precision}.onnx"))
        variants.append(Variant(precision=precision, engine="openvino", file=f"openvino/model.{precision}.xml"))
    if bfloat16:
        variants += [
            msgspec.structs.replace(variant, precision=_IN_BFLOAT16[variant.precision])
            for variant in variants
            if variant.engine == "openvino"
        ]
    return variants


def compare_variant(variant: Variant, folder: Path, source: Source, threads: int | None) -> Variant:
    """Runs a variant on the patches and the golden patch, and returns it with its parity and golden agreement.

    Args:
        variant: the variant, without figures.
        folder: directory of the unfinished bundle.
        source: the student and its logits.
        threads: CPU threads; None for all.

    Raises:
        BundleError: the variant returns NaN or infinity, or, in fp32, does not compute what the student computes.
    """
    engine = open_engine(variant.engine, folder / variant.file, threads=threads, precision=variant.precision)
    try:
        parity = compare(engine, source.patches, source.reference)
        if variant.precision == "fp32":
            check_fp32(engine, parity)
        agreement = source.golden.agreement(engine)
    finally:
        engine.close()
    return msgspec.structs.replace(variant, parity=parity, golden_agreement=agreement)
