"""The training recipe: the papers' numbers as defaults, one frozen struct that is written into every run."""

from __future__ import annotations

import math
from typing import Literal

from ..runtime.errors import FieldError
from ..runtime.fields import CheckedStruct

Precision = Literal["32-true", "bf16-mixed"]


class Augmentation(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Probabilities of the papers' augmentations (AutoSAM Adapter, appendix 7.2).

    Attributes:
        flip: per axis; the left/right axis only with ``mirror_sides``.
        rotate: quarter turns in the axial plane.
        scale: intensity multiplied by 1 ± 0.1.
        shift: intensity shifted by ± 0.1.
        mirror_sides: allow left/right flips although labels are pairs of a left and a right organ.
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


class Recipe(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a network is trained.

    Defaults are the paper's (AutoSAM Adapter, section 4 and appendix 7.3): AdamW 5e-4, weight decay 1e-5, 200 epochs
    of which 5 warm up, batch 1, positive and negative crops 1:1.

    Attributes:
        epochs: number of epochs.
        steps_per_epoch: optimiser steps per epoch; None: as many as it takes to draw one crop per training case.
        batch: crops in one forward pass, on each device.
        accumulate: forward passes per step, on each device; their gradients are averaged.
        processes: devices that train together. A step takes batch × accumulate × processes crops, and two processes
            learn what one process learns with twice the accumulation.
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
        precision: Lightning Fabric's name of the number format. There is no "bf16-true": its weights have eight
            significant bits, and most updates of AdamW at these rates would round to nothing.
        pictures_every: epochs between overlay pictures of a validation case; 0 for none.
        augmentation: probabilities.
    """

    epochs: int = 200
    steps_per_epoch: int | None = None
    batch: int = 1
    accumulate: int = 1
    processes: int = 1
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
    pictures_every: int = 10
    augmentation: Augmentation = Augmentation()

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("epochs", "batch", "accumulate", "processes", "validate_every", "checkpoint_every"):
            if getattr(self, field) < 1:
                raise FieldError(f"{field}: expected 1 or more, got {getattr(self, field)}")
        if self.pictures_every < 0:
            raise FieldError(f"pictures_every: expected 0 (none) or more, got {self.pictures_every}")
        if self.steps_per_epoch is not None and self.steps_per_epoch < 1:
            raise FieldError(f"steps_per_epoch: expected 1 or more, got {self.steps_per_epoch}")
        if not 0 <= self.warmup < self.epochs:
            raise FieldError(
                f"warmup: expected fewer epochs than the whole training, {self.epochs}, got {self.warmup}; "
                f"give a warmup of 0…{self.epochs - 1}"
                + (f", or {self.warmup + 1} epochs or more" if self.warmup > 0 else "")
            )
        if not self.lr > 0:
            raise FieldError(f"lr: expected more than 0, got {self.lr:g}")
        if not 0 <= self.positive <= 1:
            raise FieldError(f"positive: expected a share of 0…1, got {self.positive:g}")
        if not 0 <= self.validation_overlap < 1:
            raise FieldError(f"validation_overlap: expected 0 or more and less than 1, got {self.validation_overlap:g}")

    @property
    def crops_per_step(self) -> int:
        """Crops that one optimiser step learns from, on all devices."""
        return self.batch * self.accumulate * self.processes

    def steps(self, cases: int) -> int:
        """Returns the optimiser steps of an epoch over so many training cases."""
        return self.steps_per_epoch or math.ceil(cases / self.crops_per_step)

    def draws_pictures(self, epoch: int) -> bool:
        """Returns whether the validation after an epoch (from 0) is drawn: the first one of each `pictures_every`."""
        if not self.pictures_every:
            return False
        done = epoch + 1
        before = done - (done % self.validate_every or self.validate_every)
        return done // self.pictures_every > before // self.pictures_every or done == self.epochs
