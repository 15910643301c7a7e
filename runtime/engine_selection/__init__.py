"""Choosing the engine: what passed its gate and its self-test is timed on this machine, and the choice is kept."""
