"""The variants of a bundle: which there are, and how close each is to the student."""

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
    """What is exported: the student on the CPU, its task and the patches it is compared on, with its answers."""

    student: torch.nn.Module
    task: Task
    patches: Patches
    reference: list[Logits]
    golden: GoldenPatch


def has_bfloat16() -> bool:
    """Returns whether this machine computes in bfloat16, so that such variants can be measured."""
    return supports("openvino", "bf16")


def offered(precisions: Sequence[Precision], bfloat16: bool) -> list[Variant]:
    """Returns the variants made of some models, not yet measured.

    Args:
        precisions: of the models that are written: "fp32" and "int8".
        bfloat16: add those that run OpenVINO's form of a model in bfloat16.
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
    """Returns the variant with its closeness to the student, on the patches and on the golden one.

    Raises:
        BundleError: it returns NaN or infinity, or, in fp32, something else than the student.
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
