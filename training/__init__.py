"""Training: data sets and phantoms, crops and augmentation, the fit loop, losses, metrics and checkpoints."""

from .user_name import ensure_user_name

ensure_user_name()  # before anything here imports MONAI
