"""Lets `python -m hub` be the `hub` command."""

from hub.cli import main

main()
