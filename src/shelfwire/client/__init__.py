"""The client: start a job on a server, follow it through lost connections, read its results."""

from shelfwire.client.client import Client
from shelfwire.client.errors import ConnectionLostError, RefusedError
from shelfwire.client.following import Following
from shelfwire.client.handle import JobHandle
from shelfwire.client.http import Upload
from shelfwire.client.reporting.async_reporter import AsyncReporter
from shelfwire.client.reporting.attempt import AttemptLostError, Busy, JobEnded, Stopped
from shelfwire.client.reporting.reporter import Reporter, report
from shelfwire.protocol.reconnect import Transport

__all__ = [
    "AsyncReporter",
    "AttemptLostError",
    "Busy",
    "Client",
    "ConnectionLostError",
    "Following",
    "JobEnded",
    "JobHandle",
    "RefusedError",
    "Reporter",
    "Stopped",
    "Transport",
    "Upload",
    "report",
]
