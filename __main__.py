"""`python -m bedside` is the `bedside` command."""

from .cli.main import main

main()
