"""The store in a PostgreSQL database, which any number of processes share."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

import structlog

from shelfwire.clock import Clock, SystemClock
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.operator_store import AuditEntry
from shelfwire.jobs.outbox import Announce, announce_nothing
from shelfwire.jobs.page_size import fitting
from shelfwire.jobs.store import (
    Change,
    Claimed,
    Committed,
    Counts,
    EncodeTerminal,
    Idempotency,
    InputSize,
    Item,
    Lapses,
    Mended,
    Recorded,
    RemoteClaim,
    Swept,
)
from shelfwire.protocol import owner_transitions, worker_transitions
from shelfwire.protocol.job import CLAIMED_TURN, JobState, Policy, Status, Transition, decode_row
from shelfwire.protocol.tokens import Grant
from shelfwire.stores.postgres import (
    claims,
    commits,
    creation,
    erasing,
    inputs,
    limits,
    outbox,
    presence,
    records,
    rows,
    tokens,
)
from shelfwire.stores.postgres.address import OFF, Database, connector, conninfo_of
from shelfwire.stores.postgres.connections import Connections, Session
from shelfwire.stores.postgres.corrections import PostgresCorrectionStore
from shelfwire.stores.postgres.errors import cause_of, passes
from shelfwire.stores.postgres.marker import check_finished
from shelfwire.stores.postgres.migrations import upgrade
from shelfwire.stores.postgres.nodes import PostgresNodes
from shelfwire.stores.postgres.operator import PostgresOperatorStore
from shelfwire.stores.postgres.outbox import PostgresOutbox
from shelfwire.stores.postgres.rows import Endings, Row

POOL_DEADLINE: Final = 3.0
WRITER_DEADLINE: Final = 1.5
"""Seconds that a statement may take, of requests and of workers: a worker's lease must not end meanwhile."""
MAX_PASSED_OVER: Final = 100
"""The most damaged jobs that a claim passes over."""
SWEEP_BATCH: Final = 1000
"""Expired jobs whose ids are read at once."""

EXPIRED: Final = "SELECT id FROM shelfwire.job WHERE expires_at <= %(now)s ORDER BY expires_at LIMIT %(limit)s"
IS_EXPIRED: Final = "SELECT true FROM shelfwire.job WHERE key = %(key)s AND expires_at <= %(now)s"
ITEMS: Final = """
SELECT index, ok, title, body, source FROM shelfwire.item
WHERE job_key = (SELECT key FROM shelfwire.job WHERE id = %(id)s) AND index > %(after)s::int8
  AND (%(ok)s::bool IS NULL OR ok = %(ok)s::bool)
ORDER BY index LIMIT %(limit)s
"""
ITEM_SIZES: Final = """
SELECT octet_length(body) FROM shelfwire.item
WHERE job_key = (SELECT key FROM shelfwire.job WHERE id = %(id)s) AND index > %(after)s::int8
  AND (%(ok)s::bool IS NULL OR ok = %(ok)s::bool)
ORDER BY index LIMIT %(limit)s
"""
REVOKE: Final = "DELETE FROM shelfwire.token WHERE digest = %(digest)b"
AHEAD: Final = """
SELECT count(*) FROM (
  SELECT FROM shelfwire.job
  WHERE status = 'queued' AND pipeline = %(pipeline)s AND (turn, run_at) < (%(turn)s, %(run_at)s) LIMIT %(limit)s
) AS queue
"""
KEY_OF: Final = "SELECT key FROM shelfwire.job WHERE id = %(id)s AND created_at = %(created_at)s"

log = structlog.get_logger(__name__)


class _Erasure(NamedTuple):
    """What a sweep did with one job.

    Attributes:
        key: of the erased job; None if none was erased.
        ending: its ending, if it had none before.
        is_damaged: whether its row could not be read.
    """

    key: int | None
    ending: Committed | None
    is_damaged: bool


class PostgresStore(PostgresOperatorStore, PostgresCorrectionStore):
    """A `JobStore` in a PostgreSQL database. Use it as an asynchronous context manager.

    Any number of processes may have one open on a database, and each of them may end at any time: what it held is taken
    over when its leases end. So all of them keep leases by one clock, which is the database's.

    Args:
        database: which database.
        encode_terminal: encodes the terminal message when a job ends.
        inline_limit: bytes of item bodies to pass to `encode_terminal`.
        steady: the time by which leases are kept and jobs take turns; see `worker_transitions.claimable`. The same in
            all processes.
        announce: makes what is to be told when a job ends.
        clock: the time; a `DatabaseClock` is set by the database.

    Attributes:
        outbox: what is to be told.
        nodes: the other processes.

    Raises:
        ShelfwireError: on entering, `E_STORAGE_UNAVAILABLE` where the database cannot be used.
    """

    def __init__(
        self,
        database: Database,
        *,
        encode_terminal: EncodeTerminal,
        inline_limit: int,
        steady: Callable[[], int] | None = None,
        announce: Announce = announce_nothing,
        clock: Clock | None = None,
    ) -> None:
        clock = clock or SystemClock()
        self._conninfo = conninfo_of(database.url, database.node)
        self._node = database.node
        self._steady = steady or clock.steady
        self._endings = Endings(encode_terminal, inline_limit, announce)
        connect = connector(self._conninfo)
        listen = database.listen or database.url
        ear = None if listen == OFF else connector(conninfo_of(listen, database.node))
        self._pool = Connections(connect, database.pool_size, POOL_DEADLINE)
        self.nodes = PostgresNodes(connect, ear, self._pool, os.urandom(4).hex(), clock, self._steady)
        self._writer = Connections(connect, 1, WRITER_DEADLINE, self.nodes.connected)
        self.outbox = PostgresOutbox(self._pool)
        self._damaged: set[str] = set()

    async def __aenter__(self) -> Self:
        """Bring the schema up to date, and begin to hear of other processes."""
        await asyncio.to_thread(upgrade, self._conninfo)
        try:
            await self._pool.read(check_finished)
        except BaseException:
            await self._pool.close()
            raise
        await self.nodes.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        await self.nodes.close()
        await self._writer.close()
        await self._pool.close()

    async def write_input(self, job_id: str, name: str, part: int, data: bytes) -> None:
        """See `JobStore.write_input`."""
        await self._pool.write(lambda session: inputs.write(session, job_id, name, part, data))

    async def discard_input(self, upload_id: str) -> None:
        """See `JobStore.discard_input`."""
        await self._pool.write(lambda session: inputs.discard(session, upload_id))

    async def read_input(self, job_id: str, name: str) -> bytes:
        """See `JobStore.read_input`."""
        return await self._pool.read(lambda session: inputs.read(session, job_id, name))

    async def inputs(self, job_id: str) -> list[InputSize]:
        """See `JobStore.inputs`."""
        return await self._pool.read(lambda session: inputs.sizes(session, job_id))

    async def keep(self, job_id: str, attempt: int, name: str, data: bytes, *, limit: int | None = None) -> bool:
        """See `JobStore.keep`."""
        return await self._pool.write(lambda session: inputs.keep(session, job_id, attempt, name, data, limit))

    async def kept(self, job_id: str, name: str) -> bytes | None:
        """See `JobStore.kept`."""
        return await self._pool.read(lambda session: inputs.kept(session, job_id, name))

    async def create(
        self,
        state: JobState,
        grant: Grant,
        *,
        upload_id: str | None = None,
        idempotency: Idempotency | None = None,
        report: Grant | None = None,
    ) -> str:
        """See `JobStore.create`."""
        upload = upload_id or state.id
        return await self._pool.write(
            lambda session: creation.create(session, state, grant, upload, idempotency, report, self._node)
        )

    async def retry(
        self,
        source_id: str,
        job_id: str,
        grant: Grant,
        now: int,
        idempotency: Idempotency | None = None,
        steady: int | None = None,
        audit: AuditEntry | None = None,
        mended: Mended | None = None,
    ) -> str | None:
        """See `JobStore.retry`."""

        async def work(session: Session) -> str | None:
            source = await rows.locked(session, source_id)
            if source is None:
                return None
            await records.add_audit(session, audit)
            return await creation.retry(session, source, job_id, grant, now, idempotency, steady, mended)

        return await self._pool.write(work)

    async def grant(self, digest: bytes, now: int) -> Grant | None:
        """See `JobStore.grant`."""
        return await self._pool.read(lambda session: tokens.find(session, digest, now))

    async def look_up(self, digests: Collection[bytes], now: int) -> dict[bytes, tuple[Grant, Committed]]:
        """See `JobStore.look_up`."""
        return await self._pool.read(lambda session: tokens.look_up(session, digests, now))

    async def add_grant(
        self,
        grant: Grant,
        now: int,
        *,
        authorized_by: bytes | None = None,
        replaces: bytes | None = None,
        audit: AuditEntry | None = None,
    ) -> bool:
        """See `JobStore.add_grant`."""

        async def work(session: Session) -> bool:
            row = await rows.locked(session, grant.job_id)
            if row is None:
                return False
            is_added = await tokens.add(session, row.key, grant, now, authorized_by=authorized_by, replaces=replaces)
            await records.add_audit(session, audit if is_added else None)
            return is_added

        return await self._pool.write(work)

    async def revoke(self, digest: bytes) -> None:
        """See `JobStore.revoke`."""
        await self._pool.write(lambda session: session.execute(REVOKE, {"digest": digest}))

    async def job(self, job_id: str) -> Committed | None:
        """See `JobStore.job`."""

        async def work(session: Session) -> Committed | None:
            row = await session.row(rows.READ, {"id": job_id})
            return None if row is None else Committed(state=decode_row(row[0]), terminal=row[1])

        return await self._pool.read(work)

    async def claim(
        self,
        pipelines: Sequence[str],
        policy: Policy,
        now: int,
        steady: int | None = None,
        *,
        passing: Mapping[str, Collection[str]] = MappingProxyType({}),
        remote: RemoteClaim | None = None,
        take_over: bool = True,
    ) -> Claimed | None:
        """See `JobStore.claim`."""
        then = now if steady is None else steady
        only = None if remote is None else remote.job_id
        worker = None if remote is None else remote.worker
        passed: list[int] = []
        tried: list[tuple[int, str]] = []

        async def work(session: Session) -> Claimed | None:
            tried.clear()
            wanted = claims.wanted(pipelines, then, passing, only, take_over=take_over, damaged=passed)
            found = await session.row(claims.FIND, wanted)
            if found is None and take_over and await session.rows(claims.FREE_LAPSED, wanted):
                found = await session.row(claims.FIND, wanted)
            if found is None:
                return None
            key, input_key, job_id, document = found
            tried.append((key, job_id))
            row = Row(key, input_key, decode_row(document))
            claimed = worker_transitions.claim(row.state, policy, now=now, steady=steady, remote=worker)
            if row.state.turn > CLAIMED_TURN:
                await session.execute(claims.TAKE_TURN, {"pipeline": row.state.pipeline, "turn": row.state.turn})
            terminals = await rows.save(session, [(row, claimed)], self._endings, node=self._node)
            if claimed.status is not Status.RUNNING:
                return Claimed(state=claimed, terminal=terminals.get(key))
            if remote is not None:
                await session.together(tokens.inserting_report(key, remote.grant(claimed)))
            recorded = await creation.recorded_indices(session, key)
            return Claimed(state=claimed, recorded=recorded, selection=await creation.selection(session, key, claimed))

        while len(passed) < MAX_PASSED_OVER:
            try:
                return await self._writer.write(work)
            except Exception as error:
                if passes(error) or not tried:
                    raise
                self._pass_over(tried[0][1], error)
                passed.append(tried[0][0])
        return None

    def _pass_over(self, job_id: str, error: Exception) -> None:
        """Note that a job is damaged, which the log says once."""
        if job_id not in self._damaged:
            self._damaged.add(job_id)
            said = "a job is damaged and is passed over; delete it, or it is erased in time"
            log.error(said, job=job_id, reason=cause_of(error))

    async def lapse(self, policy: Policy, now: int, steady: int | None = None) -> Lapses:
        """See `JobStore.lapse`."""
        then = {"then": now if steady is None else steady}

        async def end(session: Session, job_id: str) -> Committed | None:
            row = await rows.locked(session, job_id)
            if row is None:
                return None
            after = worker_transitions.lapse(row.state, policy, now=now, steady=steady)
            if after is row.state:
                return None
            terminals = await rows.save(session, [(row, after)], self._endings)
            return Committed(state=after, terminal=terminals.get(row.key))

        async def look(session: Session) -> tuple[list[str], int | None]:
            lapsing = [job_id for (job_id,) in await session.rows(claims.LAPSING, then)]
            return lapsing, await session.value(claims.NEXT_LAPSE, then)

        lapsing, next_at = await self._pool.read(look)
        changed: list[Committed] = []
        for job_id in lapsing:
            try:
                one = await self._pool.write(lambda session, job_id=job_id: end(session, job_id))  # type: ignore[misc]
            except Exception as error:
                if passes(error):
                    raise
                self._pass_over(job_id, error)
            else:
                changed += [] if one is None else [one]
        return Lapses(changed=changed, next_at=next_at)

    async def claimable(self, pipelines: Sequence[str], now: int) -> list[str]:
        """See `JobStore.claimable`."""
        wanted = claims.wanted(pipelines, now, {}, None, take_over=True)
        return [name for (name,) in await self._pool.read(lambda session: session.rows(claims.CLAIMABLE, wanted))]

    async def ahead(self, state: JobState, *, limit: int) -> int:
        """See `JobStore.ahead`."""
        own = {"pipeline": state.pipeline, "turn": state.turn, "run_at": state.run_at, "limit": limit}
        number: int = await self._pool.read(lambda session: session.value(AHEAD, own))
        return number

    async def recorded(self, state: JobState) -> Recorded:
        """See `JobStore.recorded`."""

        async def work(session: Session) -> Recorded:
            key = await session.value(KEY_OF, {"id": state.id, "created_at": state.created_at})
            if key is None:
                return Recorded(indices=[])
            indices = await creation.recorded_indices(session, key)
            return Recorded(indices=indices, selection=await creation.selection(session, key, state))

        return await self._pool.read(work)

    async def commit(
        self, changes: Sequence[Change], policy: Policy, now: int, steady: int | None = None
    ) -> list[Committed | None]:
        """See `JobStore.commit`."""
        return await self._writer.write(
            lambda session: commits.commit(session, changes, policy, self._endings, now=now, steady=steady)
        )

    async def request(
        self, job_id: str, transition: Transition, now: int, audit: AuditEntry | None = None
    ) -> Committed | None:
        """See `JobStore.request`."""

        async def work(session: Session) -> Committed | None:
            row = await rows.locked(session, job_id)
            if row is None:
                return None
            state = transition(row.state, now)
            if row.state.status is Status.PAUSED and state.status is Status.QUEUED:
                state = await rows.with_turn(session, state)
            terminals = await rows.save(session, [(row, state)], self._endings)
            await records.add_audit(session, audit)
            return Committed(state=state, terminal=terminals.get(row.key))

        return await self._pool.write(work)

    async def delete(self, job_id: str, policy: Policy, now: int, audit: AuditEntry | None = None) -> Committed | None:
        """See `JobStore.delete`."""

        async def work(session: Session) -> tuple[int, Committed] | None:
            row, _ = await rows.locked_or_salvaged(session, job_id)
            if row is None:
                return None
            await records.add_audit(session, audit)
            after = owner_transitions.delete(row.state, policy, now=now)
            return row.key, await erasing.erase(session, row, after, self._endings, now)

        erased = await self._pool.write(work)
        if erased is None:
            return None
        key, committed = erased
        try:
            await self._erase_rest(key)
        except ShelfwireError as error:
            log.warning("the data of a deleted job are erased later", job=job_id, code=error.code, reason=error.message)
        return committed

    async def _erase_rest(self, key: int) -> None:
        """Erase the inputs and items of a job that is gone, in steps that keep nobody waiting."""
        while await self._pool.write(lambda session: erasing.erase_some(session, key)):
            """Others get a turn."""

    async def items(
        self, job_id: str, *, after: int, limit: int, ok: bool | None = None, within: int | None = None
    ) -> list[Item]:
        """See `JobStore.items`."""
        wanted = {"id": job_id, "after": after, "limit": limit, "ok": ok}

        async def work(session: Session) -> list[Item]:
            if within is not None:
                sizes = [size for (size,) in await session.rows(ITEM_SIZES, wanted)]
                wanted["limit"] = min(limit, fitting(sizes, within))
            return rows.items_of(await session.rows(ITEMS, wanted))

        return await self._pool.read(work)

    async def sweep(self, policy: Policy, now: int) -> Swept:
        """See `JobStore.sweep`. Processes that sweep at the same time share the work."""
        erased = 0
        endings: list[Committed] = []
        damaged: list[str] = []
        failure: ShelfwireError | None = None

        async def work(session: Session, job_id: str) -> _Erasure:
            row, is_damaged = await rows.locked_or_salvaged(session, job_id)
            if row is None or not await session.value(IS_EXPIRED, {"now": now, "key": row.key}):
                return _Erasure(None, None, is_damaged=False)  # it has made progress meanwhile, or is erased elsewhere
            after = owner_transitions.expire(row.state, policy, now=now)
            committed = await erasing.erase(session, row, after, self._endings, now)
            return _Erasure(row.key, None if row.state.ended else committed, is_damaged=is_damaged)

        try:
            for job_id in await self._expired(now):
                try:
                    one = await self._pool.write(lambda session, job_id=job_id: work(session, job_id))  # type: ignore[misc]
                    if one.key is not None:
                        await self._erase_rest(one.key)
                except ShelfwireError as error:
                    if error.code is Code.STORAGE_UNAVAILABLE:
                        raise
                    one = _Erasure(None, None, is_damaged=True)
                erased += one.key is not None
                endings += [] if one.ending is None else [one.ending]
                damaged += [job_id] if one.is_damaged else []
            await self._erase_old(now)
        except ShelfwireError as error:
            failure = error
        return Swept(erased=erased, endings=endings, damaged=tuple(damaged), failure=failure)

    async def _expired(self, now: int) -> list[str]:
        expired = {"now": now, "limit": SWEEP_BATCH}
        return [job_id for (job_id,) in await self._pool.read(lambda session: session.rows(EXPIRED, expired))]

    async def _erase_old(self, now: int) -> None:
        """Erase what is kept of the past and has expired, and what is left of jobs that are gone."""
        steps: Sequence[Callable[[Session], Awaitable[Any]]] = (
            erasing.erase_old_uploads,
            lambda session: _erase_old_records(session, now),
            lambda session: limits.forget(session, self._steady()),
            presence.forget,
        )
        for step in steps:
            await self._pool.write(step)
        for (key,) in await self._pool.read(lambda session: session.rows(erasing.REMAINS)):
            await self._erase_rest(key)

    async def check(self) -> None:
        """See `JobStore.check`."""
        await self.nodes.be_present()

    async def counts(self, now: int) -> Counts:
        """See `JobStore.counts`."""
        return await self._pool.read(lambda session: claims.counts(session, now))


async def _erase_old_records(session: Session, now: int) -> None:
    await outbox.erase_old(session, now)
    await records.erase_old(session, now)
