"""The command line: serve, import, watch, jobs, cancel."""

from shelfwire.cli.main import main

__all__ = ["main"]
