"""Scores: Dice, NSD and HD95 of label maps, tables of them, and the comparison of two models."""
