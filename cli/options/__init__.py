"""Shared by several commands: options, the check of output paths, the check for extras of the install."""
