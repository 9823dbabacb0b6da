"""The client: start a job on a server, follow it through lost connections, read its results."""

from shelfwire.client.client import Client, ConnectionLostError, JobRef, RefusedError

__all__ = ["Client", "ConnectionLostError", "JobRef", "RefusedError"]
