"""`shelfwire schema`: the documents that a server serves under /schema, without a server."""

import sys
from typing import Literal

import msgspec

from shelfwire.cli.errors import CommandError, Exit
from shelfwire.plugins import PluginError


def schema(document: Literal["openapi", "asyncapi", "messages"], /) -> int:
    """Print a description of the server for programs, as JSON.

    Args:
        document: openapi: the HTTP routes; asyncapi: the progress socket; messages: the JSON Schema of its messages.
    """
    match document:
        case "openapi":
            from shelfwire.app import Shelfwire  # noqa: PLC0415 - the server takes a moment to import

            try:
                made = Shelfwire().openapi()
            except PluginError as error:
                raise CommandError(f"A plug-in cannot be used. {error}") from None
        case "asyncapi":
            from shelfwire.protocol.asyncapi import asyncapi  # noqa: PLC0415 - likewise

            made = asyncapi()
        case "messages":
            from shelfwire.protocol.json_schema import message_schema  # noqa: PLC0415 - likewise

            made = message_schema()
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(made)).decode() + "\n")
    return Exit.OK
