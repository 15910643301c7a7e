"""The training loop: processes, steps, checkpoints, validation, and how it stops and goes on."""
