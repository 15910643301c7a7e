"""The processes a command runs in, and what ends them."""
