"""The command line. Public is `start_job`, for the commands of plug-ins; it is loaded when it is used."""

from typing import TYPE_CHECKING, Any

from shelfwire.cli.main import main

if TYPE_CHECKING:
    from shelfwire.cli.starting import start_job

__all__ = ["main", "start_job"]


def __getattr__(name: str) -> Any:
    if name != "start_job":
        raise AttributeError(f"module 'shelfwire.cli' has no attribute {name!r}")
    from shelfwire.cli.starting import start_job  # noqa: PLC0415 - it takes time to import, as all that starts jobs

    return start_job
