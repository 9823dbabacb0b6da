"""What processes that share a database hear of each other: hints, by NOTIFY, and what each reads again.

A hint is sent after the commit, on a connection of its own. Within the commit a NOTIFY that fails would undo it, and
all that notify wait for each other. Hints that come at the same time share a message.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
import psycopg
import structlog
from psycopg import AsyncConnection, Notify, sql

from shelfwire.clock import Clock, DatabaseClock, sleep, uniform
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.committed import Committed
from shelfwire.jobs.nodes import REREAD_SECONDS, Gone, Hint, HintKind, Lane, Link, News, Position
from shelfwire.protocol.job import decode_row
from shelfwire.stores.postgres import limits, presence
from shelfwire.stores.postgres.connections import Connect, Connections, Session, deadline
from shelfwire.stores.postgres.errors import said

CHANNEL: Final = "shelfwire"
VERSION: Final = "v1"
MAX_PAYLOAD_BYTES: Final = 7900
"""PostgreSQL takes less than 8,000."""
SEND_SECONDS: Final = 0.01
"""The least time between two messages of a process."""
MAX_HINTS: Final = 10_000
"""Hints that wait to be sent, or to be taken; with more, everything is read again instead."""
DEAF_REREAD_SECONDS: Final = 0.25
"""How often to read again where no hints are heard."""
PROBE_SECONDS: Final = 5.0
"""How often a process finds out whether it hears."""
ANSWER_SECONDS: Final = 2.0
"""How long its own message may take to be heard."""
RECONNECT_SECONDS: Final = (0.1, 0.35)
PRESENCE_SECONDS: Final = 10.0
"""How often a process says that it lives."""
MEASURE_SECONDS: Final = 1.0
"""How often the clocks are compared."""
DEADLINE: Final = 1.5

NOTIFY: Final = sql.SQL("BEGIN; SET LOCAL synchronous_commit = off; {} COMMIT")
"""It need not wait for the disk: what is lost in a crash of the database is read again."""
OTHERS: Final = """
SELECT f.n, j.state, e.message, w.state, w.message
FROM unnest(%(ids)b::text[], %(times)b::int8[], %(seqs)b::int8[]) WITH ORDINALITY f(id, created_at, seq, n)
LEFT JOIN shelfwire.job j ON j.id = f.id AND j.created_at = f.created_at
LEFT JOIN shelfwire.ending e ON e.job_key = j.key
LEFT JOIN LATERAL (
  SELECT state, message FROM shelfwire.farewell
  WHERE id = f.id AND created_at = f.created_at ORDER BY gone_at DESC LIMIT 1
) w ON j.key IS NULL
WHERE j.key IS NULL OR j.seq <> f.seq
"""
REVOKED: Final = """
SELECT d FROM unnest(%(digests)b::bytea[]) d WHERE NOT EXISTS (SELECT FROM shelfwire.token t WHERE t.digest = d)
"""
NEXT_DUE: Final = """
SELECT least(
  (SELECT min(lease_until) FROM shelfwire.job
   WHERE status = 'queued' AND run_at > %(after)s AND lease_until > %(after)s
     AND pipeline = ANY(%(pipelines)b::text[])),
  (SELECT min(lease_until) FROM shelfwire.job
   WHERE status IN ('running', 'canceling') AND lease_until > %(after)s AND pipeline = ANY(%(pipelines)b::text[]))
)
"""
"""A queued job that waits for the end of a backoff has it in both columns, of which an index has the first."""
TIME: Final = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8"

log = structlog.get_logger(__name__)


class PostgresNodes:
    """`Nodes` by NOTIFY and LISTEN. Use it as an asynchronous context manager.

    Args:
        connect: opens connections.
        listen: opens one that is the same session all the time, without a pooler between; None to hear nothing.
        pool: connections for requests.
        identity: distinguishes this process from all others.
        clock: the time; a `DatabaseClock` is set by it.
        steady: the clock of leases.

    Attributes:
        identity: as given.
        connected_at, alive: see `Nodes`.
    """

    def __init__(
        self,
        connect: Connect,
        listen: Connect | None,
        pool: Connections,
        identity: str,
        clock: Clock,
        steady: Callable[[], int],
    ) -> None:
        self._pool = pool
        self._listen = listen
        self.identity = identity
        self._clock = clock
        self._steady = steady
        self._reader = Connections(connect, 1, DEADLINE)
        self._mouth = Connections(connect, 1, DEADLINE)
        self._probe_channel = f"{CHANNEL}_{identity}"
        self._unsent: dict[tuple[HintKind, str], int] = {}
        self._probing = False
        self._to_send = asyncio.Event()
        self._heard: dict[Hint, None] = {}
        self._to_take = asyncio.Event()
        self._hears = False
        self._tried = asyncio.Event()
        self._probe_heard = False
        self._tasks: list[asyncio.Task[None]] = []
        self.connected_at = 0
        self.alive = 1
        self._clock_offset = 0.0
        self._measured_at = -math.inf

    async def open(self) -> None:
        """Set the clock, and begin to send and to hear."""
        await self._reader.read(self._measure)
        self._tasks.append(asyncio.create_task(self._send_all(), name="hints out"))
        self._tasks.append(asyncio.create_task(self._stay_present(), name="presence"))
        self._tasks.append(asyncio.create_task(self._compare_clocks(), name="clocks"))
        if self._listen is not None:
            self._tasks.append(asyncio.create_task(self._hear_all(self._listen), name="hints in"))
            await self._tried.wait()

    async def close(self) -> None:
        """Stop; hints that are not sent yet are sent first."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(ShelfwireError):
            await self._send()
        await self._reader.close()
        await self._mouth.close()

    def connected(self) -> None:
        """Note that the connection that commits is a new one."""
        self.connected_at = self._steady()

    @property
    def link(self) -> Link:
        """See `Nodes.link`."""
        age = self._clock.monotonic() - self._measured_at
        return Link(hears=self._hears, clock_offset=round(self._clock_offset), clock_age=age)

    @property
    def reread_seconds(self) -> float:
        """See `Nodes.reread_seconds`."""
        return REREAD_SECONDS if self._hears else DEAF_REREAD_SECONDS

    def send(self, hints: Iterable[Hint]) -> None:
        """See `Nodes.send`."""
        for hint in hints:
            if len(self._unsent) < MAX_HINTS:
                key = hint.kind, hint.job_id
                self._unsent[key] = max(hint.seq, self._unsent.get(key, 0))
        if self._unsent:
            self._to_send.set()

    async def receive(self) -> Sequence[Hint]:
        """See `Nodes.receive`."""
        await self._to_take.wait()
        self._to_take.clear()
        heard, self._heard = list(self._heard), {}
        return heard

    async def reread(self, positions: Sequence[Position], digests: Sequence[bytes]) -> News:
        """See `Nodes.reread`."""
        wanted = {
            "ids": [one.job_id for one in positions],
            "times": [one.created_at for one in positions],
            "seqs": [one.seq for one in positions],
        }

        async def work(session: Session) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
            await self._measure(session)
            rows, revoked = await session.together([(OTHERS, wanted), (REVOKED, {"digests": list(digests)})])
            return rows, revoked

        rows, revoked = await self._reader.read(work)
        found: list[Committed] = []
        gone: list[Gone] = []
        for place, state, message, last, farewell in rows:
            with contextlib.suppress(msgspec.DecodeError):
                if state is not None:
                    found.append(Committed(state=decode_row(state), terminal=message))
                else:
                    ending = None if last is None else Committed(state=decode_row(last), terminal=farewell)
                    gone.append(Gone(positions[place - 1], ending))
        return News(rows=found, gone=gone, revoked=[digest for (digest,) in revoked])

    async def next_due(self, pipelines: Sequence[str], after: int) -> int | None:
        """See `Nodes.next_due`."""
        wanted = {"pipelines": list(pipelines), "after": after}
        due: int | None = await self._reader.read(lambda session: session.value(NEXT_DUE, wanted))
        return due

    async def admit(self, identity: bytes, limit: int, now: int) -> int:
        """See `Nodes.admit`."""
        return await self._pool.write(lambda session: limits.admit(session, identity, limit, now))

    async def change_lane(self, name: str, change: Callable[[Lane], Lane]) -> Lane:
        """See `Nodes.change_lane`."""
        return await self._pool.write(lambda session: limits.change_lane(session, name, change))

    async def _measure(self, session: Session) -> None:
        """Compare the clocks, and set that of leases by it if it is the database's."""
        sent = self._clock.monotonic()
        time: float = await session.value(TIME)
        answered = self._clock.monotonic()
        if isinstance(self._clock, DatabaseClock):
            self._clock.observe(time, sent, answered)
        self._clock_offset = time + (answered - sent) / 2 * 1000 - self._steady()
        self._measured_at = answered

    async def be_present(self) -> None:
        """Say that this process lives, which writes to the database, and count those that do."""
        self.alive = await self._pool.write(lambda session: presence.be(session, self.identity))

    async def _compare_clocks(self) -> None:
        while True:
            left = self._measured_at + MEASURE_SECONDS - self._clock.monotonic()
            if left > 0:  # it was done when something else was read again
                await sleep(self._clock, left)
                continue
            try:
                await self._reader.read(self._measure)
            except ShelfwireError:  # whoever needs the database says so
                await sleep(self._clock, _soon())

    async def _stay_present(self) -> None:
        while True:
            with contextlib.suppress(ShelfwireError):
                await self.be_present()
            await sleep(self._clock, PRESENCE_SECONDS)

    async def _send_all(self) -> None:
        while True:
            await self._to_send.wait()
            try:
                await self._send()
            except ShelfwireError as error:
                log.debug("hints are lost; others read again", reason=error.message)
            await sleep(self._clock, SEND_SECONDS)

    async def _send(self) -> None:
        self._to_send.clear()
        unsent, self._unsent = self._unsent, {}
        notes = [(CHANNEL, payload) for payload in _payloads(self.identity, unsent)]
        if self._probing:
            self._probing = False
            notes.append((self._probe_channel, ""))
        if notes:
            calls = [sql.SQL("SELECT pg_notify({}, {});").format(channel, payload) for channel, payload in notes]
            await self._mouth.read(lambda session: session.execute(NOTIFY.format(sql.SQL(" ").join(calls))))

    async def _hear_all(self, listen: Connect) -> None:
        """Listen until cancelled, on one connection after the other; what cannot be heard is said once."""
        has_said = False
        while True:
            try:
                connection = await listen()
                try:
                    with deadline(connection, DEADLINE):
                        for channel in (CHANNEL, self._probe_channel):
                            await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                    has_said = await self._hear(connection, has_said=has_said)
                finally:
                    self._hears = False
                    await connection.close()
            except (psycopg.Error, OSError) as error:
                if not has_said:
                    log.warning("changes elsewhere are read every 250 ms: no hints are heard", reason=said(error))
                has_said = True
            self._tried.set()
            await sleep(self._clock, _soon())

    async def _hear(self, connection: AsyncConnection, *, has_said: bool) -> bool:
        """Hear hints as long as the own probes are heard; return whether it was said that they are not."""
        self._tried.set()
        self._take([Hint(HintKind.MISSED)])
        while True:
            self._probe_heard, self._probing = False, True
            self._to_send.set()
            async for note in connection.notifies(timeout=ANSWER_SECONDS):
                self._take_note(note)
            if not self._probe_heard:
                if not has_said:
                    log.warning(
                        "changes elsewhere are read every 250 ms: the own hint was not heard. Where there is a pooler "
                        "before the database, set database_listen to the URL of the same database without it"
                    )
                return True
            if not self._hears and has_said:
                log.info("hints are heard again")
            self._hears, has_said = True, False
            async for note in connection.notifies(timeout=PROBE_SECONDS - ANSWER_SECONDS):
                self._take_note(note)

    def _take_note(self, note: Notify) -> None:
        if note.channel == self._probe_channel:
            self._probe_heard = True
            self._hears = True
        else:
            self._take(_hints(note.payload, self.identity))

    def _take(self, hints: Iterable[Hint]) -> None:
        for hint in hints:
            self._heard[hint] = None
        if len(self._heard) > MAX_HINTS:
            self._heard = {Hint(HintKind.MISSED): None}
        if self._heard:
            self._to_take.set()


def _soon() -> float:
    """Seconds until a lost connection is tried again."""
    least, most = RECONNECT_SECONDS
    return least + (most - least) * uniform()


def _payloads(identity: str, hints: dict[tuple[HintKind, str], int]) -> list[str]:
    """Return messages with these hints, each small enough."""
    head = msgspec.json.encode([VERSION, identity])[:-1]
    payloads: list[str] = []
    room, parts = 0, [head]
    for (kind, job_id), seq in hints.items():
        part = msgspec.json.encode([str(kind), job_id, seq])
        room += len(part) + 1
        if room + len(head) >= MAX_PAYLOAD_BYTES and len(parts) > 1:
            payloads.append(b",".join(parts).decode() + "]")
            room, parts = len(part) + 1, [head]
        parts.append(part)
    if len(parts) > 1:
        payloads.append(b",".join(parts).decode() + "]")
    return payloads


def _hints(payload: str, identity: str) -> Sequence[Hint]:
    """Return the hints of a message of another process, as far as they are understood."""
    kinds: Callable[[str], bool] = {str(kind) for kind in HintKind}.__contains__
    try:
        version, sender, *hints = msgspec.json.decode(payload, type=list[Any])
        if version != VERSION or sender == identity:
            return []
        return [Hint(HintKind(kind), job_id, seq) for kind, job_id, seq in hints if kinds(kind)]
    except (msgspec.DecodeError, ValueError, TypeError):
        return []
