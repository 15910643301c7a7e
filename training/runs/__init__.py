"""The run directory: configuration, metrics and pictures of one training."""
