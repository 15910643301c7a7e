"""The command line: a thin file per command, folders for what longer ones are made of; heavy imports inside."""
