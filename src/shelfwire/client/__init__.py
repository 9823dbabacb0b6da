"""The client: start a job on a server, follow it through lost connections, read its results."""

from shelfwire.client.client import Client
from shelfwire.client.errors import ConnectionLostError, RefusedError
from shelfwire.client.following import Following
from shelfwire.client.ref import JobRef
from shelfwire.client.wire import Upload
from shelfwire.protocol.follow import Transport

__all__ = ["Client", "ConnectionLostError", "Following", "JobRef", "RefusedError", "Transport", "Upload"]
