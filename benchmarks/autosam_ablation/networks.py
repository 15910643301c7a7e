"""The networks that are compared: the teacher with and without its two parts, and a SwinUNETR from scratch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from bedside.runtime import Task
    from bedside.teacher.autosam.config import AutoSamConfig
    from bedside.training.runs.run_config import ModelConfig
    from plan import Plan


@dataclass(frozen=True)
class AutoSamRow:
    """A row of the AutoSAM Adapter paper's Table 3.

    Attributes:
        title: name in tables.
        apg: whether it has the auto prompt generator.
        mlam: whether it has multi-layer aggregation.
        paper_dice: mean Dice on BTCV in the paper, in percent.
    """

    title: str
    apg: bool
    mlam: bool
    paper_dice: float
    equal_time = False

    def build(self, plan: Plan, task: Task) -> torch.nn.Module:
        """Returns the network with fresh weights (SAM's, where the plan has them)."""
        return self._design(plan).build(task.num_classes, task.patch.dhw)

    def config(self, plan: Plan) -> ModelConfig:
        """Returns how the run directory names it."""
        return self._design(plan).recorded()

    def _design(self, plan: Plan) -> AutoSamConfig:
        from bedside.teacher.autosam.config import AutoSamConfig

        checkpoint = Path(plan.checkpoint) if plan.checkpoint else None
        return AutoSamConfig(sam=plan.sam, checkpoint=checkpoint, apg=self.apg, mlam=self.mlam, train_encoder=False)


@dataclass(frozen=True)
class SwinUnetrRow:
    """MONAI's SwinUNETR with feature size 48 and fresh weights.

    Attributes:
        title: name in tables.
        equal_time: whether it trains for the whole teacher's time; otherwise for the teacher's number of steps.
    """

    title: str
    equal_time: bool
    paper_dice = None

    def build(self, plan: Plan, task: Task) -> torch.nn.Module:
        """Returns the network with fresh weights."""
        from monai.networks.nets.swin_unetr import SwinUNETR

        return SwinUNETR(in_channels=1, out_channels=task.num_classes, feature_size=48, spatial_dims=3)

    def config(self, plan: Plan) -> ModelConfig:
        """Returns how the run directory names it."""
        from bedside.training.runs.run_config import ModelConfig

        return ModelConfig(kind="student", name="swinunetr-48")


Row = AutoSamRow | SwinUnetrRow

WHOLE = "both"
ROWS: dict[str, Row] = {
    WHOLE: AutoSamRow("APG + MLAM", apg=True, mlam=True, paper_dice=87.15),
    "no-apg": AutoSamRow("no APG", apg=False, mlam=True, paper_dice=85.23),
    "no-mlam": AutoSamRow("no MLAM", apg=True, mlam=False, paper_dice=84.37),
    "neither": AutoSamRow("neither", apg=False, mlam=False, paper_dice=81.14),
    "swinunetr48-time": SwinUnetrRow("SwinUNETR-48, same time", equal_time=True),
    "swinunetr48-steps": SwinUnetrRow("SwinUNETR-48, same steps", equal_time=False),
}
ABLATION = tuple(name for name, row in ROWS.items() if row.paper_dice is not None)
"""From the best row of the paper's table to its worst."""
