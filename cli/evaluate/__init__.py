"""The parts of `bedside evaluate`: pairs to compare, scoring in one or several processes, tables and JSON."""
