"""Measurement: how variants are measured in rounds, what was imposed and sensed meanwhile, and how results compare."""
