"""Chooses the fp32 ONNX of a network: as exported, or with norms that sum in parts where an engine needs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from ..runtime.engines import open_engine
from .norms_in_parts import norms_in_parts
from .parity import FP32_LABEL_AGREEMENT, FP32_LARGEST_DIFFERENCE
from .reference import Reference

if TYPE_CHECKING:
    import onnx

_ENOUGH = 0.5  # of the bound on a probability: more may be beyond it on other patches


def exact_onnx(
    exported: onnx.ModelProto,
    reference: Reference,
    engines: Sequence[str],
    threads: int | None,
    remark: Callable[[str], None],
) -> onnx.ModelProto:
    """Returns the fp32 model: norms sum in parts, which takes longer, only where an engine misses the network without.

    An engine misses it where it uses more than half of the bound on a probability, or changes labels, also those of
    the golden patch, most of which is air.

    Args:
        exported: ONNX of the reference's network; not modified.
        reference: the network and its probabilities.
        engines: names of the engines that will run the model.
        threads: CPU threads; None for all.
        remark: called with the reason where norms have to sum in parts.

    Raises:
        NotFiniteError: an engine returns NaN or infinity.
    """
    mended = norms_in_parts(exported)
    if mended is exported:
        return mended
    content = exported.SerializeToString(deterministic=True)
    for name in engines:
        with closing(open_engine(name, content, threads=threads)) as engine:
            parity = reference.closeness(engine).parity
            agreement = min(parity.label_agreement, reference.golden.agreement(engine))
        difference = parity.max_abs_probability
        if difference > _ENOUGH * FP32_LARGEST_DIFFERENCE or agreement < FP32_LABEL_AGREEMENT:
            remark(
                f"norms of {name} fp32 change a probability by {difference:.5f} and {1 - agreement:.3%} of the labels: "
                "fp32 gets norms summed in parts"
            )
            return mended
    return exported
