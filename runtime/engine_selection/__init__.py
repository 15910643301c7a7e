"""Engine selection: times the variants that passed gate and self-test on this machine, and caches the choice."""
