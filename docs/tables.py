"""Writes the tables of docs/protocol.md that the code is the source of; with --check it only says if they are stale.

Run it as `make docs`.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from shelfwire.app import Shelfwire
from shelfwire.errors import known_codes
from shelfwire.jobs.telemetry import Stats
from shelfwire.metrics import Metrics
from shelfwire.plugins import installed, sections_of
from shelfwire.protocol.close_codes import CLOSES
from shelfwire.settings import Field, fields

PROTOCOL: Final = Path(__file__).with_name("protocol.md")
_PLACE: Final = re.compile(r"(<!-- made by docs/tables\.py: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def close_codes() -> str:
    """The codes that the progress socket closes with."""
    rows = ((str(int(code)), close.when, _yes(close.reconnect)) for code, close in CLOSES.items())
    return _table(("close code", "when", "come back"), rows)


def error_codes() -> str:
    """The one table of error codes."""
    rows = (
        (f"`{code}`", str(code.entry.status), _yes(code.entry.retryable), code.entry.message, code.entry.user_message)
        for code in known_codes()
    )
    return _table(("code", "HTTP", "try again", "for a developer", "for a person"), rows)


def settings() -> str:
    """Every setting: its flag, which also tells the key of the file, its variable, default and meaning."""
    rows = (
        (
            f"`{field.flag}`",
            " or ".join(f"`{variable}`" for variable in field.variables),
            _default(field),
            field.description.removesuffix("."),
        )
        for field in fields(sections_of(installed()))
    )
    return _table(("flag", "environment", "default", "meaning"), rows)


def state() -> str:
    """The members of a job's state."""
    schema = Shelfwire().openapi()["components"]["schemas"]["State"]
    rows = (
        (f"`{name}`", "always" if name in schema["required"] else "", member["description"].removesuffix("."))
        for name, member in schema["properties"].items()
    )
    return _table(("member", "there", "meaning"), rows)


def metrics() -> str:
    """What `/metrics` tells, the figures of the process itself aside."""
    nothing = Stats(jobs={}, queue_age=0, followers={}, sent_bytes=0, stalled=0, deliveries={})
    body, _ = Metrics((), installed()).render(nothing, "text/plain")
    rows = (
        (
            f"`{family.name}{'_total' if family.type == 'counter' else ''}`",
            family.type,
            family.documentation.removesuffix("."),
        )
        for family in text_string_to_metric_families(body.decode())
        if family.name.startswith("shelfwire_") and not family.name.endswith("_created")
    )
    return _table(("name", "kind", "meaning"), rows)


TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "close codes": close_codes,
    "error codes": error_codes,
    "metrics": metrics,
    "settings": settings,
    "state": state,
}


def rewritten(text: str) -> str:
    """The document with every table as it is now.

    Raises:
        ValueError: the document does not have a place for each table.
    """
    if sorted(name for _, name, _ in _PLACE.findall(text)) != sorted(TABLES):
        raise ValueError(f"{PROTOCOL.name} must have one place for each of: {', '.join(TABLES)}")
    return _PLACE.sub(lambda place: f"{place[1]}\n{TABLES[place[2]]()}\n{place[3]}", text)


def _default(field: Field) -> str:
    if field.name == "data":
        return "the platform's folder for a user's data"
    match field.default:
        case None | ():
            return ""
        case bool(flag):
            return _yes(flag)
        case tuple(values):
            return ", ".join(values)
        case value:
            return f"{value:g}" if isinstance(value, float) else str(value)


def _yes(flag: bool) -> str:  # noqa: FBT001 - it is what is said
    return "yes" if flag else "no"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def main(path: Path = PROTOCOL, *, check: bool = False) -> int:
    """Write the tables, or say with exit code 1 that they are stale."""
    text = path.read_text(encoding="utf-8")
    fresh = rewritten(text)
    if fresh == text:
        return 0
    if check:
        sys.stderr.write(f"The tables in {path} are not what the code says. Write them with: make docs\n")
        return 1
    path.write_text(fresh, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv))
