"""The gate: measures each variant against fp32 and decides which may replace it: Dice, probabilities, time."""
