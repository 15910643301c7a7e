"""The parts of `bedside demo`: its commands, the figures collected from them, and the report."""
