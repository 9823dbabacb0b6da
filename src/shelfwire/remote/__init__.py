"""Runs pipelines in a process or on a machine of their own, over HTTP, with the `Job` that they have in a server."""

from shelfwire.remote.worker import RemoteWorker

__all__ = ["RemoteWorker"]
