"""The ablation over λ: a training per λ and seed, their scores, and a table of Dice over λ."""
