"""Phantoms: CT-like scans with the thirteen BTCV organs, drawn from anatomy and a seed."""
