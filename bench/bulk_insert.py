"""Why the store inserts in bulk: row by row, as one JSON value, or 512 rows a statement, beside a busy event loop.

Both put the same items into the same table from a thread of their own, in one synced transaction, while the main
thread's event loop computes in slices of 2 ms, as it does while a job runs. The thread must take the interpreter's lock
back after each row it steps over, or only after the whole statement.
"""

import argparse
import asyncio
import sqlite3
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

import msgspec
import uvloop
from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import rig

from shelfwire.stores import schema
from shelfwire.stores.migrations import upgrade
from shelfwire.stores.sqlite.bulk import insert_items
from shelfwire.stores.sqlite.data_folder import DATABASE_NAME, engine_of

ROWS: Final = 1_500
"""What a commit of a fast import holds."""
SLICE_SECONDS: Final = 0.002
STARVED_SECONDS: Final = 2.0
SWITCH_INTERVALS: Final = (0.005, 0.001)
"""Python's own, and one below the slices: a thread that waits for the interpreter's lock asks for it only when nobody
has let go of it for so long. A loop that lets go every 2 ms, and takes it back before the thread has woken up, is never
asked."""
Items = list[tuple[str, int, bool, str, dict[str, object]]]
BOOK: Final = {"title": "The Lantern of Tromsø", "authors": ["Zofia Sjöberg"], "isbn13": "9780306406157"}
STATEMENT: Final = (
    """INSERT INTO item (job_id, "index", ok, title, body, source) SELECT value ->> '$[0]', value ->> '$[1]', """
    """value ->> '$[2]', value ->> '$[3]', value -> '$[4]', NULL FROM json_each(?)"""
)
BY_ROW: Final = str(schema.item.insert().compile(dialect=sqlite.dialect(paramstyle="qmark")))


def items(job_id: str, rows: int) -> Items:
    """Make the items of one commit."""
    return [(job_id, index, True, f"Title {index}", {**BOOK, "row": index}) for index in rig.shuffled(rows, 1)]


def row_by_row(connection: sqlite3.Connection, rows: Items) -> None:
    """Step over the rows in Python's driver."""
    flat = [(*row[:4], msgspec.json.encode(row[4]).decode(), None) for row in rows]
    connection.executemany(BY_ROW, flat)


def one_statement(connection: sqlite3.Connection, rows: Items) -> None:
    """Hand the rows over as one JSON value."""
    connection.execute(STATEMENT, (msgspec.json.encode(rows).decode(),))


class Driver:
    """The driver's connection as the store's own function asks for it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.exec_driver_sql = connection.execute


def values(connection: sqlite3.Connection, rows: Items) -> None:
    """Hand the rows over as parameters of a few statements, as the store does."""
    flat = [(*row[:4], msgspec.json.encode(row[4]).decode(), None) for row in rows]
    insert_items(cast(Connection, Driver(connection)), flat)


def timed(path: Path, insert: Callable[[sqlite3.Connection, Items], None], rows: Items, *, busy: bool) -> float:
    """Seconds for `insert` in a thread, in one transaction, with or without a busy event loop beside it.

    A loop that has starved the thread for too long lets go of it; the figure is then that time and a little more.
    """
    seconds: list[float] = []

    def work() -> None:
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        insert(connection, rows)
        connection.execute("COMMIT")
        seconds.append(time.perf_counter() - began)
        connection.close()

    thread = threading.Thread(target=work)

    async def loop() -> None:
        until = time.perf_counter() + STARVED_SECONDS
        thread.start()
        while thread.is_alive():
            if busy and time.perf_counter() < until:
                rig.spin(SLICE_SECONDS)
                await asyncio.sleep(0)
            else:
                await asyncio.sleep(SLICE_SECONDS)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(loop())
    thread.join()
    return seconds[0]


def compare(path: Path, rows: int, repeats: int, *, busy: bool) -> list[rig.Line]:
    """Time both ways in turn, so that what else the machine does meets both."""
    ways = {"row by row": row_by_row, "one statement": one_statement, "a statement for 512 rows": values}
    figures: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(repeats):
        for name, insert in ways.items():
            made = items(f"{name} {busy} {sys.getswitchinterval()} {number}", rows)
            figures[name].append(timed(path, insert, made, busy=busy) * 1000)
    slow, _, fast = figures.values()
    return [
        *(rig.Line(f"{name}, ms, median", rig.median(found), None, found) for name, found in figures.items()),
        *(rig.Line(f"{name}, ms, mean", statistics.fmean(found)) for name, found in figures.items()),
        rig.Line("row by row as a multiple of the store's own, medians", rig.median(slow) / rig.median(fast)),
        rig.Line("row by row as a multiple of the store's own, means", statistics.fmean(slow) / statistics.fmean(fast)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="each 4 times instead of 20")
    repeats = 4 if parser.parse_args().quick else 20
    rig.machine()
    with rig.scratch() as folder:
        path = folder / DATABASE_NAME
        engine = engine_of(path, "BEGIN")
        with engine.begin() as connection:
            upgrade(connection)
        engine.dispose()
        title = f"{ROWS:,} items in one transaction, {repeats} times"
        for interval in SWITCH_INTERVALS:
            sys.setswitchinterval(interval)
            beside = f"beside a loop busy in slices of 2 ms, switch interval {interval * 1000:g} ms"
            rig.report(f"{title}, {beside}", compare(path, ROWS, repeats, busy=True))
        rig.report(f"{title}, beside an idle loop", compare(path, ROWS, repeats, busy=False))


if __name__ == "__main__":
    main()
