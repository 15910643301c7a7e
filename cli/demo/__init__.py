"""What `bedside demo` is made of: its stages, the figures they leave, and the report."""
