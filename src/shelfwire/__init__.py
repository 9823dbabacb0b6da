"""Live progress of long jobs that survives crashes, restarts and lost connections.

Public are the names in `__all__`, `shelfwire.plugins`, `shelfwire.testing`, `shelfwire.client.testing`, and the modules
that `docs/howto/plugin.md` and `docs/howto/embed.md` use; everything else may change with any version
(`docs/versioning.md`). Names are loaded when they are used, so that importing the client loads no server.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shelfwire.app import Shelfwire
    from shelfwire.client import (
        AsyncReporter,
        AttemptLostError,
        Busy,
        Client,
        ConnectionLostError,
        JobEnded,
        JobHandle,
        RefusedError,
        Reporter,
        Stopped,
        Upload,
        report,
    )
    from shelfwire.client.blocking import BlockingClient
    from shelfwire.errors import CodeEntry, ErrorCode, ShelfwireError
    from shelfwire.jobs.job import Job
    from shelfwire.jobs.pipeline import Pipeline
    from shelfwire.jobs.store import Item
    from shelfwire.plugins import Plugin
    from shelfwire.remote import RemoteWorker
    from shelfwire.settings import Settings

__version__ = "0.1.0"
__all__ = [
    "AsyncReporter",
    "AttemptLostError",
    "BlockingClient",
    "Busy",
    "Client",
    "CodeEntry",
    "ConnectionLostError",
    "ErrorCode",
    "Item",
    "Job",
    "JobEnded",
    "JobHandle",
    "Pipeline",
    "Plugin",
    "RefusedError",
    "RemoteWorker",
    "Reporter",
    "Settings",
    "Shelfwire",
    "ShelfwireError",
    "Stopped",
    "Upload",
    "report",
]

_MODULES: Final = {
    "AsyncReporter": "client",
    "AttemptLostError": "client",
    "BlockingClient": "client.blocking",
    "Busy": "client",
    "Client": "client",
    "CodeEntry": "errors",
    "ConnectionLostError": "client",
    "ErrorCode": "errors",
    "Item": "jobs.store",
    "Job": "jobs.job",
    "JobEnded": "client",
    "JobHandle": "client",
    "Pipeline": "jobs.pipeline",
    "Plugin": "plugins",
    "RefusedError": "client",
    "RemoteWorker": "remote",
    "Reporter": "client",
    "Settings": "settings",
    "Shelfwire": "app",
    "ShelfwireError": "errors",
    "Stopped": "client",
    "Upload": "client",
    "report": "client",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'shelfwire' has no attribute {name!r}")
    return getattr(import_module(f"shelfwire.{_MODULES[name]}"), name)
