"""The verb of the command line, and the table of its results. A function's signature and docstring make its help."""

from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from rich.table import Column

from shelfwire import JobHandle
from shelfwire.cli import start_job
from shelfwire.plugins import ResultTable
from shelfwire.safe_text import safe_line
from shelfwire_glossary.client import GlossaryClient


def check(
    file: Path,
    /,
    *,
    strict: bool = False,
    only: str = "",
    server: str | None = None,
    data: Path | None = None,
    json: bool = False,
) -> int:
    """Check a text against the server's glossary, and show how it goes.

    Args:
        file: The text.
        strict: Let lines fail that have a term of the glossary.
        only: Look for this term alone.
        server: The URL of a running server, such as http://127.0.0.1:8787; or set SHELFWIRE_SERVER.
        data: The data folder to work in without a server; or set SHELFWIRE_DATA.
        json: Print each message as a line of JSON, then the outcome with every failed line.
    """

    def send(client: GlossaryClient, key: str) -> Awaitable[JobHandle]:
        return client.check(file, strict=strict, only=only, idempotency_key=key)

    job = start_job(
        "glossary_check", [file], send, client_class=GlossaryClient, what="text", server=server, data=data, json=json
    )
    return job.exit_code


def table(results: Any) -> ResultTable:
    """Show how often each term was found. See `Plugin.tables`."""
    rows = [(safe_line(term), str(count)) for term, count in sorted(results.get("terms", {}).items())]
    return ResultTable([Column("Term", ratio=1), Column("Lines", justify="right")], rows)
