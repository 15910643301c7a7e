"""Training: data sets and phantoms, crops and augmentation, the fit loop, losses, metrics and checkpoints."""
