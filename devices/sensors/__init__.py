"""Sensors: what a machine tells of its clocks, heat, power, memory and throttling while something runs."""
