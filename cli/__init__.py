"""The command line: one thin file per command, a folder for each longer one; heavy imports stay inside functions."""
