"""Live progress of long jobs that survives crashes, restarts and lost connections.

Public are the names in `__all__`, `shelfwire.plugins`, `shelfwire.testing`, `shelfwire.client.testing`, and the modules
that `docs/howto/plugin.md` and `docs/howto/embed.md` use; everything else may change with any version
(`docs/versioning.md`). Names are loaded when they are used, so that importing the client loads no server.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shelfwire.app import Shelfwire
    from shelfwire.client import Client, ConnectionLostError, JobHandle, RefusedError, Upload
    from shelfwire.client.blocking import BlockingClient
    from shelfwire.errors import CodeEntry, ErrorCode, ShelfwireError
    from shelfwire.jobs.job import Job
    from shelfwire.jobs.pipeline import Pipeline
    from shelfwire.jobs.store import Item
    from shelfwire.plugins import Plugin
    from shelfwire.settings import Settings

__version__ = "0.1.0"
__all__ = [
    "BlockingClient",
    "Client",
    "CodeEntry",
    "ConnectionLostError",
    "ErrorCode",
    "Item",
    "Job",
    "JobHandle",
    "Pipeline",
    "Plugin",
    "RefusedError",
    "Settings",
    "Shelfwire",
    "ShelfwireError",
    "Upload",
]

_MODULES: Final = {
    "BlockingClient": "client.blocking",
    "Client": "client",
    "CodeEntry": "errors",
    "ConnectionLostError": "client",
    "ErrorCode": "errors",
    "Item": "jobs.store",
    "Job": "jobs.job",
    "JobHandle": "client",
    "Pipeline": "jobs.pipeline",
    "Plugin": "plugins",
    "RefusedError": "client",
    "Settings": "settings",
    "Shelfwire": "app",
    "ShelfwireError": "errors",
    "Upload": "client",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'shelfwire' has no attribute {name!r}")
    return getattr(import_module(f"shelfwire.{_MODULES[name]}"), name)
