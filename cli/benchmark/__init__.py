"""`bedside benchmark`: how fast bundles run on this machine, and how two such measurements compare."""
