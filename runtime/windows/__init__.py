"""Windows over a volume: the plan, the input, the run, and the blending of scores."""
