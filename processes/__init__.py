"""Child processes: their start and end, and workers that share a list of items."""
