"""Writes the fp32 model of a network: as exported, or with norms that sum in parts where an engine needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..runtime.bundles.variant import Variant
from .onnx_graphs.norms_in_parts import norms_in_parts
from .parity import FP32_LABEL_AGREEMENT, FP32_LARGEST_DIFFERENCE
from .reference import Reference

if TYPE_CHECKING:
    import onnx

_ENOUGH = 0.5  # of the bound on a probability: more may be beyond it on other patches


def write_exact(
    exported: onnx.ModelProto,
    write: Callable[[onnx.ModelProto], None],
    reference: Reference,
    variants: Sequence[Variant],
    folder: Path,
    threads: int | None,
    remark: Callable[[str], None],
) -> None:
    """Writes the fp32 model as exported or, if an engine computes that too inexactly, with norms that sum in parts.

    Norms that sum in parts take longer. The exported model is too inexact on an engine where a probability differs from
    the network's by more than half of the bound, or more labels differ than the bound allows, also those of the golden
    patch, most of which is air. The reference keeps what the engines returned: `Reference.measure` does not run them
    again on the same files.

    Args:
        exported: ONNX of the reference's network; not modified.
        write: writes a model's files into ``folder``, over those that are there.
        reference: the network and its probabilities.
        variants: the fp32 variants that will run the files.
        folder: directory of the unfinished bundle.
        threads: CPU threads; None for all.
        remark: called with the reason where norms have to sum in parts.

    Raises:
        NotFiniteError: an engine returns NaN or infinity.
    """
    write(exported)
    mended = norms_in_parts(exported)
    for variant in variants if mended is not exported else ():
        comparison = reference.compare(variant, folder, threads)
        parity = comparison.on_patches.parity
        difference, agreement = parity.max_abs_probability, min(parity.label_agreement, comparison.golden_agreement)
        if difference > _ENOUGH * FP32_LARGEST_DIFFERENCE or agreement < FP32_LABEL_AGREEMENT:
            remark(
                f"norms of {variant.engine} fp32 change a probability by {difference:.5f} and {1 - agreement:.3%} of "
                "the labels: fp32 gets norms summed in parts"
            )
            write(mended)
            return
