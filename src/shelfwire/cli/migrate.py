"""`shelfwire migrate`: moves the jobs of a data folder into a PostgreSQL database."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from shelfwire.cli.errors import CommandError, Exit
from shelfwire.cli.extensions import gather
from shelfwire.clock import Clock, SystemClock
from shelfwire.errors import ShelfwireError
from shelfwire.settings import Settings
from shelfwire.stores.sqlite.data_folder import DataFolderBusyError

if TYPE_CHECKING:
    from shelfwire.stores.transfer.copying import Comparison, Step

INSTALL: Final = "The package for PostgreSQL is not installed. Install it with: pip install 'shelfwire[postgres]'"
AGAIN: Final = "Nothing is lost. Run the same command again: it goes on where it was"
LISTED: Final = 20
"""The most jobs that are named."""
TERMINAL_SECONDS: Final = 0.1
LINE_SECONDS: Final = 10.0
"""How often is said how far it is, on a terminal and elsewhere."""


def migrate(
    *,
    source: Annotated[Path | None, Parameter(name="--from")] = None,
    to: str | None = None,
    check: bool = False,
    leave_damaged: bool = False,
    config: Path | None = None,
) -> int:
    """Move the jobs of a data folder into a PostgreSQL database, with their inputs, results and tokens.

    Its server must be stopped. Broken off, it goes on where it was when it is run again; until all is there and was
    compared, no server uses the database. The folder stays as it is.

    Args:
        source: The data folder; that of the settings unless given.
        to: The URL of the database, postgresql://…; better as SHELFWIRE_DATABASE, which other users cannot see.
        check: Only compare both.
        leave_damaged: Leave jobs behind whose data are damaged.
        config: The server's TOML file with settings.
    """
    settings = gather({"data": source, "database": to, "config": config}, os.environ)
    if settings.database is None:
        raise CommandError("Name the database: --to postgresql://…, or set SHELFWIRE_DATABASE")
    progress = _Progress(SystemClock())
    try:
        return _run(settings, progress, check=check, leave_damaged=leave_damaged)
    except DataFolderBusyError:
        raise CommandError(f"A server uses {settings.data}, or another migration does. Stop it first") from None
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise CommandError(INSTALL) from None
    except ShelfwireError as error:
        raise CommandError(f"{error.message}. {AGAIN}" if progress.has_begun else error.message) from None
    except KeyboardInterrupt:
        if progress.has_begun:
            progress.end()
            sys.stderr.write(f"{AGAIN}\n")
        raise
    finally:
        progress.end()


def _run(settings: Settings, progress: "_Progress", *, check: bool, leave_damaged: bool) -> int:
    # psycopg may not be installed.
    from shelfwire.stores.transfer import copying, source, target  # noqa: PLC0415

    assert settings.database is not None  # noqa: S101 - the caller has looked
    with source.opened(settings.data, os.urandom) as here, target.opened(settings.database.reveal()) as there:
        if check:
            compared = copying.compare(here, there, progress.show)
            progress.end()
            _print(compared)
            _require_same(compared)
            return Exit.OK
        if there.begin(here):
            sys.stderr.write(f"Going on with {settings.data}, part of which is in {there.name}\n")
        progress.has_begun = True
        compared = copying.copy(here, there, progress.show)
        progress.end()
        _print(compared)
        _require_same(compared)
        if not leave_damaged:
            _require_sound(compared)
        there.finish(here)
        sys.stdout.write(f"All of {settings.data} is in {there.name}. Start the servers with that database\n")
    return Exit.OK


def _print(compared: "Comparison") -> None:
    here, there = compared.source.counts, compared.target.counts
    lines = [(name, f"{here[name]:,}", f"{there[name]:,}") for name in here if here[name] or there[name]]
    for name, *numbers in [("", "folder", "database"), *lines]:
        sys.stdout.write(f"{name:18}" + "".join(f"{number:>14}" for number in numbers) + "\n")
    sys.stdout.flush()


def _require_same(compared: "Comparison") -> None:
    if compared.is_same:
        return
    jobs = compared.differing
    what = [*([f"jobs {_listed(jobs)}"] if jobs else []), *compared.differing_kinds]
    raise CommandError(f"The folder and the database differ in: {', '.join(what)}", Exit.FAILED)


def _require_sound(compared: "Comparison") -> None:
    if compared.damaged:
        raise CommandError(
            f"Jobs are damaged and cannot be copied: {_listed(sorted(compared.damaged))}. All others are there. Delete "
            "these with the old server, or leave them behind with --leave-damaged, and run the same again"
        )


def _listed(jobs: list[str]) -> str:
    more = len(jobs) - LISTED
    return ", ".join(jobs[:LISTED]) + (f" and {more:,} more" if more > 0 else "")


class _Progress:
    """One line on a terminal that says how far it is; elsewhere a line from time to time.

    Attributes:
        has_begun: whether something may have been copied.
    """

    def __init__(self, clock: Clock) -> None:
        self.has_begun = False
        self._clock = clock
        self._is_terminal = sys.stderr.isatty()
        self._next = clock.monotonic() + (0 if self._is_terminal else LINE_SECONDS)
        self._width = 0

    def show(self, step: "Step") -> None:
        """Show a step, unless another one was shown just now."""
        if self._clock.monotonic() < self._next:
            return
        self._next = self._clock.monotonic() + (TERMINAL_SECONDS if self._is_terminal else LINE_SECONDS)
        jobs = f"{step.jobs:,} of {step.of:,} jobs, " if step.of else ""
        line = f"{step.doing}: {jobs}{step.rows:,} rows"
        if self._is_terminal:
            sys.stderr.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            sys.stderr.write(line + "\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Clear the line."""
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            self._width = 0
