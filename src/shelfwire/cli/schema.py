"""`shelfwire schema`: the documents that a server serves under /schema, without a server."""

import sys
from typing import Literal

import msgspec

from shelfwire.cli.errors import Exit


def schema(document: Literal["openapi", "asyncapi", "messages"], /) -> int:
    """Print a description of the server for programs, as JSON.

    Args:
        document: openapi: the HTTP routes; asyncapi: the progress socket; messages: the JSON Schema of its messages.
    """
    match document:
        case "openapi":
            from shelfwire.app import Shelfwire  # noqa: PLC0415 - the server takes a moment to import

            made = Shelfwire().openapi()
        case "asyncapi":
            from shelfwire.protocol.asyncapi import asyncapi  # noqa: PLC0415 - likewise

            made = asyncapi()
        case "messages":
            from shelfwire.protocol.json_schema import message_schema  # noqa: PLC0415 - likewise

            made = message_schema()
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(made)).decode() + "\n")
    return Exit.OK
