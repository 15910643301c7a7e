"""The two designs of the AutoSAM Adapter, chosen by the option ``preset``: the paper's text and the authors' code."""

from __future__ import annotations

from dataclasses import dataclass

from ...runtime import arguments


@dataclass(frozen=True)
class Design:
    """One design of the AutoSAM Adapter: the paper's, or that of the released code.

    Attributes:
        name: ``"paper"`` or ``"released_code"``.
        depth_table_start: initial value of the trainable depth-position table.
        adapter_last_relu: whether the spatial adapter ends in a ReLU before its residual.
        start_as_sam: whether new layers start so that SAM's function is (nearly) unchanged; else with PyTorch's default
            weights.
        prompt_stage: encoder stage (1…4) that feeds the auto prompt generator.
        head_stages: encoder stages that the decoder's other heads read, in order.
    """

    name: str
    depth_table_start: float
    adapter_last_relu: bool
    start_as_sam: bool
    prompt_stage: int
    head_stages: tuple[int, ...]


_ROWS = (
    Design(
        "paper",
        depth_table_start=0.0,
        adapter_last_relu=False,
        start_as_sam=True,
        prompt_stage=4,
        head_stages=(1, 2, 3),
    ),
    Design(
        "released_code",
        depth_table_start=1.0,
        adapter_last_relu=True,
        start_as_sam=False,
        prompt_stage=1,
        head_stages=(4, 3, 2),
    ),
)

DESIGNS: dict[str, Design] = {row.name: row for row in _ROWS}


def find_design(name: str) -> Design:
    """Returns the design of that name.

    Raises:
        UsageError: no design has this name.
    """
    return DESIGNS[arguments.known("teacher preset", name, DESIGNS)]
