"""The training recipe: one frozen struct, stored in every run, with the papers' numbers as defaults."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Literal

import msgspec

from ..runtime import arguments
from ..runtime.checked_struct import CheckedStruct
from ..runtime.errors import FieldError, UsageError
from ..runtime.task import Task

TrainingPrecision = Literal["32-true", "bf16-mixed", "auto"]
SegmentationLoss = Literal["dice-ce", "balanced-dice-ce"]
OptimizerName = Literal["adamw", "sgd"]
LARGEST_SEED = 2**32 - 1  # of NumPy's generator, from which MONAI's augmentations draw


class Augmentation(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Probabilities of the papers' augmentations (AutoSAM Adapter, appendix 7.2), and of four more.

    Attributes:
        flip: probability of a flip, per axis; left and right are not flipped where labels name sides.
        rotate: probability of a rotation by multiples of 90° in the axial plane.
        scale: probability of multiplying the intensity by 1 ± 0.1.
        shift: probability of shifting the intensity by ± 0.1.
        affine: probability of a rotation by up to 15° about each axis and a zoom by up to 1.2; not in the papers.
        contrast: probability of raising the intensity, between a crop's least and greatest, to a power of 0.7…1.5 (its
            gamma); not in the papers.
        noise: probability of adding Gaussian noise with a standard deviation of up to 0.1; not in the papers.
        mirror: probability of mirroring left and right, with which the labels of each left/right pair of organs
            change places; not in the papers.
        mirror_sides: whether left and right were flipped with their labels unchanged, in runs that predate ``mirror``;
            False in later runs.

    Raises:
        FieldError: a field has the wrong type, or is no probability.
    """

    flip: float = 0.1
    rotate: float = 0.1
    scale: float = 0.2
    shift: float = 0.0
    affine: float = 0.0
    contrast: float = 0.0
    noise: float = 0.0
    mirror: float = 0.0
    mirror_sides: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("flip", "rotate", "scale", "shift", "affine", "contrast", "noise", "mirror"):
            probability = getattr(self, name)
            if not 0 <= probability <= 1:
                raise FieldError(f"{name}: expected a probability, 0 to 1, got {probability:g}")


# Of the papers, by the name of a task; other tasks have the defaults.
AUGMENTATION: dict[str, Augmentation] = {
    "btcv": Augmentation(flip=0.1, rotate=0.1, scale=0.2),
    "amos-ct": Augmentation(flip=0.1, rotate=0.1, scale=0.2),
    "ct-org": Augmentation(flip=0.5, rotate=0.5, scale=0.1, shift=0.1),
    "pelvic": Augmentation(flip=0.3, rotate=0.2, scale=0.1, shift=0.1),
}


class Recipe(CheckedStruct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a training.

    Defaults are the paper's (AutoSAM Adapter, section 4 and appendix 7.3): AdamW 5e-4, weight decay 1e-5, 200 epochs
    of which 5 warm up, batch 1, positive and negative crops 1:1.

    Attributes:
        epochs: number of epochs.
        steps_per_epoch: optimiser steps per epoch; None: enough to draw one crop per training case with labels.
        batch: crops per forward pass and device.
        accumulate: forward passes per step and device; their gradients are averaged.
        processes: training processes, one device each. A step uses batch × accumulate × processes crops: two processes
            give the same gradients as one process with twice the accumulation.
        lr: base learning rate.
        optimizer: "adamw", or "sgd" with Nesterov's momentum.
        betas: AdamW betas.
        momentum: momentum of SGD, more than 0 and less than 1: without it SGD keeps no state of a weight, with which
            checkpoints and averaged weights would be kept.
        weight_decay: weight decay of the optimiser.
        warmup: warm-up epochs.
        clip: maximum gradient norm; a larger gradient is scaled down to it.
        average_weights: decay of a moving average of the weights over the steps, which is validated and kept in place
            of the last weights, 0…<1; 0: none, as in the papers.
        auxiliary_alone: share of the epochs, from the first one on, in which a network with deep supervision learns by
            its auxiliary outputs alone, 0…<1; other networks have no such epochs.
        positive: share of crops centred on an organ, 0…1.
        unlabelled: share of crops from scans without labels, 0…<1; only a teacher can teach on these.
        balance_classes: True: a positive crop draws a class first, then one of its voxels, so that small organs are
            seen as often as large ones; False: every labelled voxel is equally likely, as in the papers.
        loss: what labels teach: the papers' Dice + cross-entropy, or the same with classes weighted by one over the
            root of their share of a batch, so that small organs are learned from the first steps on.
        validate_every: epochs between validations.
        validation_overlap: overlap of neighbouring windows in validation, 0…<1.
        class_offsets: whether the logits of the best weights are moved by one number for each class, with which the
            validation cases have the highest Dice; not in the papers.
        checkpoint_every: steps between checkpoints inside an epoch; every epoch ends with one too.
        seed: random seed of weights, crops and augmentation, 0…2³²−1.
        precision: number format, as Lightning Fabric names it. There is no "bf16-true": its weights have eight
            significant bits, and most updates of AdamW at these rates would round to nothing. "auto": the training
            chooses at its start, see `choose_precision`, and the run records what it chose.
        pictures_every: epochs between overlay pictures of a validation case; 0 for none.
        augmentation: probabilities of the augmentations.
    """

    epochs: int = 200
    steps_per_epoch: int | None = None
    batch: int = 1
    accumulate: int = 1
    processes: int = 1
    lr: float = 5e-4
    optimizer: OptimizerName = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.99
    weight_decay: float = 1e-5
    warmup: int = 5
    clip: float = 1.0
    average_weights: float = 0.0
    auxiliary_alone: float = 0.0
    positive: float = 0.5
    unlabelled: float = 0.0
    balance_classes: bool = False
    loss: SegmentationLoss = "dice-ce"
    validate_every: int = 1
    validation_overlap: float = 0.25
    class_offsets: bool = False
    checkpoint_every: int = 500
    seed: int = 0
    precision: TrainingPrecision = "32-true"
    pictures_every: int = 10
    augmentation: Augmentation = Augmentation()

    def __post_init__(self) -> None:
        super().__post_init__()
        for field in ("epochs", "batch", "accumulate", "processes", "validate_every", "checkpoint_every"):
            if getattr(self, field) < 1:
                raise FieldError(f"{field}: expected 1 or more, got {getattr(self, field)}")
        if not 0 <= self.seed <= LARGEST_SEED:
            raise FieldError(f"seed: expected a whole number from 0 to {LARGEST_SEED}, got {self.seed}")
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
        for field in ("lr", "clip"):
            if not getattr(self, field) > 0:
                raise FieldError(f"{field}: expected more than 0, got {getattr(self, field):g}")
        if not self.weight_decay >= 0:
            raise FieldError(f"weight_decay: expected 0 or more, got {self.weight_decay:g}")
        if not 0 <= self.positive <= 1:
            raise FieldError(f"positive: expected a share of 0…1, got {self.positive:g}")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise FieldError(f"betas: expected two of 0 or more and less than 1, got {self.betas}")
        for field in ("momentum", "average_weights", "auxiliary_alone"):
            if not 0 <= getattr(self, field) < 1:
                raise FieldError(f"{field}: expected 0 or more and less than 1, got {getattr(self, field):g}")
        if self.optimizer == "sgd" and not self.momentum:
            raise FieldError('momentum: expected more than 0 with "sgd", got 0; give a small one, such as 0.1')
        if not (self.unlabelled == 0 or 0.001 <= self.unlabelled <= 0.999):  # of 1,000 crops at least one of each kind
            raise FieldError(f"unlabelled: expected a share of 0, or of 0.001…0.999, got {self.unlabelled:g}")
        if not 0 <= self.validation_overlap < 1:
            raise FieldError(f"validation_overlap: expected 0 or more and less than 1, got {self.validation_overlap:g}")

    def for_task(self, task: Task, **given: Any) -> Recipe:
        """Returns the recipe to train for a task, as the commands do: with its augmentation, and with fields changed.

        If fewer epochs are given, the training warms up for no larger share of them, unless ``warmup`` is given too.

        >>> from ..runtime.task_presets import PRESETS
        >>> recipe = Recipe().for_task(PRESETS["pelvic"], epochs=20)
        >>> recipe.warmup, recipe.augmentation.flip
        (0, 0.3)

        Args:
            task: the task, whose name chooses among `AUGMENTATION`; any other task has the defaults.
            **given: fields of the recipe to change; ``augmentation`` goes before the task's.

        Raises:
            UsageError: ``task`` is no `Task`, or a field is unknown, has the wrong type or is out of range.
        """
        augmentation = AUGMENTATION.get(arguments.instance("task", task, Task).name, Augmentation())
        try:
            recipe = msgspec.structs.replace(self, **{"augmentation": augmentation, "warmup": 0, **given})
        except TypeError as error:  # no field of that name
            raise UsageError(f"recipe: {error}") from None
        if "warmup" in given:
            return recipe
        warmup = min(self.warmup, self.warmup * recipe.epochs // self.epochs)
        return msgspec.structs.replace(recipe, warmup=warmup)

    @property
    def balanced(self) -> bool:
        """Whether the loss weights classes by their share of a batch."""
        return self.loss == "balanced-dice-ce"

    @property
    def crops_per_step(self) -> int:
        """Crops per optimiser step, over all devices."""
        return self.batch * self.accumulate * self.processes

    def steps(self, cases: int) -> int:
        """Returns the number of optimiser steps per epoch for a number of training cases with labels."""
        return self.steps_per_epoch or math.ceil(cases / (1 - self.unlabelled_share) / self.crops_per_step)

    @property
    def unlabelled_share(self) -> Fraction:
        """The share of crops from scans without labels as a fraction, to a thousandth: floats would round .9 up."""
        return Fraction(self.unlabelled).limit_denominator(1000)

    def learning_rate(self, epoch: int, *, epochs: int | None = None) -> float:
        """Returns the learning rate of an epoch: exponential warm-up, then polynomial decay.

        Epoch e < warmup: ``lr · exp(10 (e / warmup − 1))``; later ``lr · (1 − e / epochs) ^ 0.9``. The AutoSAM Adapter
        paper calls this "warm-up exponential decay"; the formula is that of its released code.

        >>> f"{Recipe(lr=5e-4, epochs=200, warmup=5).learning_rate(4):.2e}"
        '6.77e-05'

        Args:
            epoch: counted from 0.
            epochs: length of the schedule; None: the recipe's.
        """
        if epoch < self.warmup:
            return self.lr * math.exp(10 * (epoch / self.warmup - 1))
        return self.lr * (1 - epoch / (epochs or self.epochs)) ** 0.9

    def trains_auxiliary_alone(self, epoch: int, *, epochs: int | None = None) -> bool:
        """Returns whether a network with deep supervision learns by its auxiliary outputs alone in an epoch.

        >>> recipe = Recipe(epochs=1000, auxiliary_alone=0.2)
        >>> recipe.trains_auxiliary_alone(199), recipe.trains_auxiliary_alone(200)
        (True, False)

        Args:
            epoch: counted from 0.
            epochs: length of the schedule; None: the recipe's.
        """
        total = epochs or self.epochs
        return epoch < min(round(self.auxiliary_alone * total), total - 1)  # the last epoch trains the whole network

    def draws_pictures(self, epoch: int) -> bool:
        """Returns whether the validation after an epoch (counted from 0) is drawn.

        The first validation of every `pictures_every` epochs is drawn, and that of the last epoch.
        """
        if not self.pictures_every:
            return False
        done = epoch + 1
        before = done - (done % self.validate_every or self.validate_every)
        return done // self.pictures_every > before // self.pictures_every or done == self.epochs
