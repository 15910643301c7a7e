"""Training: data sets and phantoms, crops and augmentation, the fit loop, losses, metrics and checkpoints."""

from .nameless_user import name_the_nameless

name_the_nameless()  # before anything here imports MONAI
