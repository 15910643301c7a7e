"""The training loop: processes, steps, validation, checkpoints, interruption and resumption."""
