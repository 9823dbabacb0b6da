"""The database that is copied into. Until all is there, its marker keeps servers away."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, Final

import msgspec
import psycopg
from psycopg import Connection, sql

from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.job import JobState, decode_row
from shelfwire.stores.postgres import creation, erasing, rows
from shelfwire.stores.postgres.address import conninfo_of
from shelfwire.stores.postgres.errors import translated
from shelfwire.stores.postgres.marker import NAME, READ, Marker
from shelfwire.stores.postgres.migrations import upgrade
from shelfwire.stores.transfer.source import Source
from shelfwire.stores.transfer.tables import JOB_TYPES, OF_JOBS, OF_SERVICE, Copied, Values, compared

NODE: Final = "migrate"
BEGIN: Final = "BEGIN; SET LOCAL statement_timeout = 0"
BEGIN_COPY: Final = f"{BEGIN}; SET LOCAL synchronous_commit = off"
"""Copies need not wait for the disk one by one: the last transaction does, and all before it are then safe too."""
EMPTY: Final = """
SELECT NOT EXISTS (SELECT FROM shelfwire.job) AND NOT EXISTS (SELECT FROM shelfwire.outbox)
  AND NOT EXISTS (SELECT FROM shelfwire.audit)
"""
OTHERS: Final = f"""
SELECT application_name FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'shelfwire %%' AND application_name <> 'shelfwire {NODE}'
LIMIT 1
"""  # noqa: S608 - of constants
LOOKS: Final = 20
PAUSE: Final = "SELECT pg_sleep(0.1)"
"""PostgreSQL may notice a moment later that a process is gone."""
MARK: Final = "INSERT INTO shelfwire.meta VALUES (%(name)s, %(value)s)"
"""It fails where somebody else has just begun to copy another folder."""
MARK_AGAIN: Final = "UPDATE shelfwire.meta SET value = %(value)s WHERE name = %(name)s"
NOW: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8"
IDS: Final = "SELECT id FROM shelfwire.job"
FIND: Final = "SELECT key FROM shelfwire.job WHERE id = %(id)s"
ERASE_BULK: Final = (
    "DELETE FROM shelfwire.input_part WHERE input_key = (SELECT input_key FROM shelfwire.job WHERE key = %(key)s)",
    "DELETE FROM shelfwire.item WHERE job_key = %(key)s",
)
JOBS: Final = sql.SQL(f"SELECT id, state, {', '.join(JOB_TYPES)} FROM shelfwire.job")  # noqa: S608
AUDIT_NUMBERS: Final = """
SELECT setval(pg_get_serial_sequence('shelfwire.audit', 'n'), (SELECT max(n) FROM shelfwire.audit))
"""


class Target:
    """A database.

    Args:
        connection: to it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def name(self) -> str:
        """What people call it, without a password."""
        info = self._connection.info
        return f"{info.dbname} on {info.host or 'this machine'}"

    def begin(self, source: Source) -> bool:
        """Mark the database as one that the folder is copied into; return whether that was so before.

        Raises:
            ShelfwireError: `E_STORAGE_UNAVAILABLE`: it has jobs already, is in use, or is that of another folder.
        """
        marker = self.marker()
        if marker is not None and marker.identity != source.identity:
            raise _refused(f"Another folder, {marker.folder}, {_stage(marker)} this database. Name another database")
        if marker is not None and marker.finished:
            raise _refused(f"{source.path} was copied into this database before, completely. To compare them: --check")
        if marker is None and not self._value(EMPTY):
            raise _refused("This database has jobs, webhooks or an audit already. Name an empty one")
        other = self._other()
        if other is not None:
            raise _refused(f"A server is connected to this database, as {other!r}. Stop it first")
        if marker is None:
            self._mark(MARK, source, finished=False)
        return marker is not None

    def _other(self) -> str | None:
        """Return what a process that uses the database calls itself; None if none does."""
        other: str | None = None
        for _ in range(LOOKS):
            other = self._value(OTHERS)
            if other is None:
                break
            self._connection.execute(PAUSE)
        return other

    def marker(self) -> Marker | None:
        """Return which folder is copied, or was; None for none."""
        text = self._value(READ)
        return None if text is None else msgspec.json.decode(text, type=Marker)

    def finish(self, source: Source) -> None:
        """Open the database for servers, once all that was copied is on its disk."""
        with self._transaction(is_last=True):
            self._connection.execute(AUDIT_NUMBERS)
            self._connection.execute("ANALYZE shelfwire.job, shelfwire.item, shelfwire.token, shelfwire.input_part")
            self._mark(MARK_AGAIN, source, finished=True)

    def now(self) -> int:
        """Return the time, in milliseconds since the epoch."""
        return int(self._value(NOW))

    def ids(self) -> set[str]:
        """Return the ids of the jobs that are there."""
        return {job_id for (job_id,) in self._connection.execute(IDS)}

    def replace(self, state: JobState, read: Callable[[Copied], Iterator[Values]]) -> None:
        """Write a job with all that belongs to it in place of the one of its id.

        Args:
            state: the job.
            read: returns the rows of each kind.
        """
        with self._transaction():
            self._erase(state.id)
            same = {name: getattr(state, name) for name in ("id", "pipeline", "caller", "created_at", "seq")}
            own = {"lease_until": state.lease_until, "state": rows.encoded(state), "input_key": None, "node": None}
            made = self._connection.execute(creation.INSERT_JOB, {**same, **own, **rows.columns(state)}).fetchone()
            assert made is not None  # noqa: S101 - its id is free
            keys = dict(zip(("job_key", "input_key"), made, strict=True))
            for kind in OF_JOBS:
                self._copy(kind, ((keys[kind.owner], *values) for values in read(kind)))

    def replace_shared(self, read: Callable[[Copied], Iterator[Values]]) -> None:
        """Write what is of all jobs in place of what is there."""
        with self._transaction():
            for kind in OF_SERVICE:
                self._connection.execute(sql.SQL("DELETE FROM shelfwire.{}").format(sql.Identifier(kind.target)))
                self._copy(kind, read(kind))

    def erase(self, job_id: str) -> None:
        """Erase a job."""
        with self._transaction():
            self._erase(job_id)

    def jobs(self) -> Iterator[tuple[str, Values]]:
        """Yield the id of each job with what `tables.job_values` returns of it."""
        for job_id, state, *columns in self._read(JOBS, ["text", "text", *JOB_TYPES.values()]):
            yield job_id, (rows.encoded(compared(decode_row(state))), *columns)

    def rows(self, kind: Copied) -> Iterator[Values]:
        """Yield all rows of a kind as `tables.shortened` has them; those of jobs with the id of theirs before."""
        shown: list[sql.Composable] = [
            sql.SQL("sha256({})" if of == "bytea" else "{}").format(sql.Identifier("r", name))
            for name, of in kind.into.items()
        ]
        source = sql.SQL("shelfwire.{} r").format(sql.Identifier(kind.target))
        types = list(kind.into.values())
        if kind in OF_JOBS:
            own = "key" if kind.owner == "job_key" else kind.owner
            join = sql.SQL("{} JOIN shelfwire.job j ON j.{} = r.{}")
            source = join.format(source, sql.Identifier(own), sql.Identifier(kind.owner))
            shown, types = [sql.Identifier("j", "id"), *shown], ["text", *types]
        return self._read(sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(shown), source), types)

    def _read(self, query: sql.Composable, types: list[str]) -> Iterator[Any]:
        """Yield rows as they come, however many they are."""
        statement = sql.SQL("COPY ({}) TO STDOUT (FORMAT BINARY)").format(query)
        with self._transaction(), self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(types)
            yield from copy.rows()

    def _copy(self, kind: Copied, read: Iterator[Values]) -> None:
        first = next(read, None)
        if first is None:
            return
        owner = {kind.owner: {"job_key": "int8", "input_key": "uuid"}[kind.owner]} if kind in OF_JOBS else {}
        types = {**owner, **kind.into}
        statement = sql.SQL("COPY shelfwire.{} ({}) FROM STDIN (FORMAT BINARY)").format(
            sql.Identifier(kind.target), sql.SQL(", ").join(map(sql.Identifier, types))
        )
        with self._connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(list(types.values()))
            for values in chain((first,), read):
                copy.write_row(values)

    def _erase(self, job_id: str) -> None:
        found = self._connection.execute(FIND, {"id": job_id}).fetchone()
        if found is not None:
            for statement in (*ERASE_BULK, erasing.ERASE_JOB, *erasing.ERASE_OWNED):
                self._connection.execute(statement, {"key": found[0]})

    def _mark(self, statement: str, source: Source, *, finished: bool) -> None:
        marker = Marker(identity=source.identity, folder=str(source.path.absolute()), finished=finished)
        self._connection.execute(statement, {"name": NAME, "value": msgspec.json.encode(marker).decode()})

    def _value(self, query: str) -> Any:
        row = self._connection.execute(query, {}).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def _transaction(self, *, is_last: bool = False) -> Iterator[None]:
        self._connection.execute(BEGIN if is_last else BEGIN_COPY)
        try:
            yield
        except BaseException:
            if not self._connection.closed:
                self._connection.rollback()
            raise
        self._connection.commit()


@contextmanager
def opened(url: str) -> Iterator[Target]:
    """Connect to a database, and bring its schema up to date.

    Raises:
        ShelfwireError: it cannot be used, or not any more. The error shows no URL.
    """
    conninfo = conninfo_of(url, NODE)
    upgrade(conninfo)
    try:
        with psycopg.connect(conninfo, autocommit=True, prepare_threshold=None) as connection:
            yield Target(connection)
    except psycopg.Error as error:
        raise translated(error) from error


def _stage(marker: Marker) -> str:
    return "was copied into" if marker.finished else "is being copied into"


def _refused(why: str) -> ShelfwireError:
    return ShelfwireError(Code.STORAGE_UNAVAILABLE, why)
