"""What `bedside evaluate` is made of: what to compare, the scoring in one or several processes, tables and JSON."""
