"""The training recipe: the papers' numbers as defaults, one frozen struct that is written into every run."""

from __future__ import annotations

from typing import Literal

import msgspec

Precision = Literal["32-true", "bf16-mixed"]


class Augmentation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Probabilities of the papers' augmentations (AutoSAM Adapter, appendix 7.2).

    Attributes:
        flip: per axis; the left/right axis only with ``mirror_sides``.
        rotate: quarter turns in the axial plane.
        scale: intensity multiplied by 1 ± 0.1.
        shift: intensity shifted by ± 0.1.
        mirror_sides: allow left/right flips although the task names sides.
    """

    flip: float = 0.1
    rotate: float = 0.1
    scale: float = 0.2
    shift: float = 0.0
    mirror_sides: bool = False


AUGMENTATION: dict[str, Augmentation] = {
    "btcv": Augmentation(flip=0.1, rotate=0.1, scale=0.2),
    "amos-ct": Augmentation(flip=0.1, rotate=0.1, scale=0.2),
    "ct-org": Augmentation(flip=0.5, rotate=0.5, scale=0.1, shift=0.1),
    "pelvic": Augmentation(flip=0.3, rotate=0.2, scale=0.1, shift=0.1),
}


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a network is trained.

    Defaults are the paper's (AutoSAM Adapter, section 4 and appendix 7.3): AdamW 5e-4, weight decay 1e-5, 200 epochs
    of which 5 warm up, batch 1, positive and negative crops 1:1.

    Attributes:
        epochs: number of epochs.
        steps_per_epoch: optimiser steps per epoch on each device; None: one per training case.
        batch: crops per step on each device.
        lr: base learning rate.
        betas: AdamW betas.
        weight_decay: AdamW weight decay.
        warmup: warm-up epochs.
        clip: gradient norm limit.
        positive: share of crops centred on an organ.
        balance_classes: positive crops draw a class first, then one of its voxels, so that small organs are seen as
            often as large ones; off: every labelled voxel is equally likely, as in the papers.
        validate_every: epochs between validations.
        validation_overlap: of the sliding window.
        checkpoint_every: steps between checkpoints inside an epoch; every epoch ends with one too.
        seed: of weights, crops and augmentation.
        precision: Lightning Fabric's name of the number format.
        augmentation: probabilities.
    """

    epochs: int = 200
    steps_per_epoch: int | None = None
    batch: int = 1
    lr: float = 5e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-5
    warmup: int = 5
    clip: float = 1.0
    positive: float = 0.5
    balance_classes: bool = False
    validate_every: int = 1
    validation_overlap: float = 0.25
    checkpoint_every: int = 500
    seed: int = 0
    precision: Precision = "32-true"
    augmentation: Augmentation = Augmentation()

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 1 or self.validate_every < 1 or self.checkpoint_every < 1:
            raise ValueError("epochs, batch, validate_every and checkpoint_every must be at least 1")
        if self.steps_per_epoch is not None and self.steps_per_epoch < 1:
            raise ValueError("steps_per_epoch must be at least 1")
        if not 0 <= self.warmup < self.epochs:
            raise ValueError(f"warmup ({self.warmup}) must be shorter than the training ({self.epochs} epochs)")
        if not self.lr > 0:
            raise ValueError(f"lr must be positive, got {self.lr:g}")
        if not (0 <= self.positive <= 1 and 0 <= self.validation_overlap < 1):
            raise ValueError("positive lies in 0…1 and validation_overlap in 0…<1")
