"""`shelfwire serve`: its flags are the settings, all of them, with the meaning the settings give them."""

import asyncio
import inspect
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from shelfwire.cli.errors import Exit
from shelfwire.cli.extensions import gather, plugins
from shelfwire.cli.running import Interrupted, run
from shelfwire.plugins import sections_of
from shelfwire.settings import fields


def serve(*, config: Path | None = None, json: bool = False, **flags: str | bool | None) -> int:
    """Run a server until it is stopped.

    Args:
        config: A TOML file with settings.
        json: Print where it listens as one JSON object.
        flags: The settings.
    """
    try:
        return run(_serve({**flags, "config": config}, as_json=json))
    except Interrupted:
        return Exit.OK


async def _serve(flags: dict[str, Any], *, as_json: bool) -> int:
    settings = gather(flags, os.environ)
    from shelfwire.cli.embedded_server import start  # noqa: PLC0415 - the server takes a second to import
    from shelfwire.server.logs import quiet_logs  # noqa: PLC0415 - likewise
    from shelfwire.server.serving import collect_rarely  # noqa: PLC0415 - likewise

    quiet_logs()
    async with start(settings) as url:
        collect_rarely()
        where = {"url": url, "data": str(settings.data), "pid": os.getpid()}
        text = f"Listening on {url}, data in {settings.data}"
        sys.stdout.write((msgspec.json.encode(where).decode() if as_json else text) + "\n")
        sys.stdout.flush()
        await asyncio.Event().wait()
    return Exit.OK


def _shown(default: object) -> str | bool:
    """What the help says of a default; nothing of one that only means that the setting is not given."""
    return str(default) if isinstance(default, str | int | float) and not isinstance(default, bool) else False


def _signature() -> inspect.Signature:
    own = inspect.signature(serve).parameters
    parameters = [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                bool | None if field.kind is bool else str | None,
                Parameter(help=field.description, metavar="", show_default=_shown(field.default)),
            ],
        )
        for field in fields(sections_of(plugins()))
    ]
    return inspect.Signature([*parameters, own["config"], own["json"]])


serve.__signature__ = _signature()  # type: ignore[attr-defined]
