"""Writes the tables of docs/protocol.md that the code is the source of; with --check it only says if they are stale.

Run it as `make docs`.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from shelfwire.errors import CODES
from shelfwire.protocol.closes import CLOSES
from shelfwire.settings import PREFIX, Settings

PROTOCOL: Final = Path(__file__).with_name("protocol.md")
_PLACE: Final = re.compile(r"(<!-- made by docs/tables\.py: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)

_MEANING: Final = re.compile(r"^ +(\w+): (.+?)\.?$", re.MULTILINE)


def close_codes() -> str:
    """The codes that the progress socket closes with."""
    rows = ((str(int(code)), close.when, _yes(close.reconnect)) for code, close in CLOSES.items())
    return _table(("close code", "when", "come back"), rows)


def error_codes() -> str:
    """The one table of error codes."""
    rows = (
        (f"`{code}`", str(entry.status), _yes(entry.retryable), entry.message, entry.user_message)
        for code, entry in CODES.items()
    )
    return _table(("code", "HTTP", "try again", "for a developer", "for a person"), rows)


def settings() -> str:
    """Every setting, with the meaning that its docstring gives it."""
    meanings = dict(_MEANING.findall(inspect.getdoc(Settings) or ""))
    rows = (
        (
            f"`--{field.name.replace('_', '-')}`, `{PREFIX}{field.name.upper()}`",
            _default(field.default),
            meanings[field.name],
        )
        for field in msgspec.structs.fields(Settings)
    )
    return _table(("setting", "default", "meaning"), rows)


TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "close codes": close_codes,
    "error codes": error_codes,
    "settings": settings,
}


def rewritten(text: str) -> str:
    """The document with every table as it is now.

    Raises:
        ValueError: the document does not have a place for each table.
    """
    if sorted(name for _, name, _ in _PLACE.findall(text)) != sorted(TABLES):
        raise ValueError(f"{PROTOCOL.name} must have one place for each of: {', '.join(TABLES)}")
    return _PLACE.sub(lambda place: f"{place[1]}\n{TABLES[place[2]]()}\n{place[3]}", text)


def _default(value: object) -> str:
    if value is msgspec.NODEFAULT:
        return "the platform's folder"
    return "" if value is None or value == () else str(value).lower() if isinstance(value, bool) else str(value)


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
