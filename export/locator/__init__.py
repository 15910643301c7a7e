"""Adds a locator to a bundle: its network, threshold and margin as measured, and the gate's verdict."""
