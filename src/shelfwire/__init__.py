"""Durable, authenticated live progress of long jobs: server, client and command line."""

__version__ = "0.1.0"
