"""A command's worker processes, and how they and the command end on SIGTERM."""
