"""The embedded store: one SQLite file in a data folder that belongs to one process."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self, TypeVar

import msgspec
import structlog
from sqlalchemy import (
    ColumnElement,
    Connection,
    delete,
    func,
    insert,
    select,
    update,
)

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.listing import label_of
from shelfwire.jobs.operator_store import AuditEntry
from shelfwire.jobs.outbox import Announce, announce_nothing
from shelfwire.jobs.store import (
    MIN_RETURN,
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
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions, worker_transitions
from shelfwire.protocol.job import JobState, Policy, Status, Transition
from shelfwire.protocol.tokens import Grant
from shelfwire.stores import schema
from shelfwire.stores.migrations import upgrade
from shelfwire.stores.sqlite import creation, outbox, records
from shelfwire.stores.sqlite import statements as sql
from shelfwire.stores.sqlite.bulk import insert_items, update_jobs
from shelfwire.stores.sqlite.corrections import SqliteCorrectionStore
from shelfwire.stores.sqlite.data_folder import DataFolder
from shelfwire.stores.sqlite.errors import cause_of, passes, unavailable
from shelfwire.stores.sqlite.look_up import look_up
from shelfwire.stores.sqlite.operator import SqliteOperatorStore
from shelfwire.stores.sqlite.outbox import SqliteOutbox

T = TypeVar("T")
MAX_PASSED_OVER: Final = 100
"""The most damaged jobs that a claim passes over in each queue."""

log = structlog.get_logger(__name__)
_job, _item, _ending, _grant, _part = schema.job, schema.item, schema.ending, schema.grant, schema.input_part


class _Erasure(NamedTuple):
    """What a sweep did with one job."""

    erased: int
    ending: Committed | None
    is_damaged: bool


class SqliteStore(SqliteOperatorStore, SqliteCorrectionStore):
    """A `JobStore` in one file. Use it as an asynchronous context manager.

    The file belongs to one process, which is dead when the next one opens it. So leases may be kept by a clock of that
    process alone, and those that are left are freed.

    Args:
        folder: the data folder; made with access for its owner alone.
        encode_terminal: encodes the terminal message when a job ends.
        inline_limit: bytes of item bodies to pass to `encode_terminal`.
        steady: the time by which leases are kept and jobs take turns; see `worker_transitions.claimable`.
        announce: makes what is to be told when a job ends.

    Attributes:
        outbox: what is to be told.
        nodes: None; no other process shares the file.

    Raises:
        DataFolderBusyError: on entering, where another process holds the folder.
        ShelfwireError: `E_STORAGE_UNAVAILABLE` where the folder or file cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        *,
        encode_terminal: EncodeTerminal,
        inline_limit: int,
        steady: Callable[[], int] | None = None,
        announce: Announce = announce_nothing,
    ) -> None:
        self._folder = DataFolder(folder)
        self._read, self._write = self._folder.read, self._folder.write
        self._encode_terminal = encode_terminal
        self._inline_limit = inline_limit
        self._steady = steady
        self._announce = announce
        self.outbox = SqliteOutbox(self._read, self._write)
        self.nodes = None
        self._damaged: set[str] = set()
        self._leftovers: set[str] = set()

    async def __aenter__(self) -> Self:
        """Lock the folder, bring the schema up to date and make the jobs of a dead process claimable."""
        await self._folder.open(self._prepare)
        try:
            await self._keep_room()  # what fails now is done by a sweep
        except BaseException:
            await self._folder.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish queued work, then unlock the folder."""
        await self._folder.close()

    def _prepare(self, connection: Connection) -> None:
        upgrade(connection)
        held = [str(status) for status in (*jobs.HELD, Status.QUEUED)]
        leased = update(_job).where(_job.c.status.in_(held), _job.c.lease_until > 0)
        connection.execute(leased.where(~_is_remote()).values(lease_until=0, state=_state_with("lease_until", 0)))
        if self._steady is not None:
            # The server was away, not the worker: it has as long as ever to come back.
            lease = func.max(func.json_extract(_job.c.state, "$.lease"), MIN_RETURN)
            until = self._steady() + lease
            connection.execute(
                leased.where(_is_remote()).values(lease_until=until, state=_state_with("lease_until", until))
            )
        self._rebase(connection)
        outbox.free(connection)
        self._leftovers.update(sql.ownerless(connection))

    def _rebase(self, connection: Connection) -> None:
        """Keep the order of the queue where the clock was set back since the last process: all have waited till now."""
        waiting = _job.c.status == "queued", _job.c.run_at <= sql.MAX_INTEGER
        last = connection.scalar(select(func.max(_job.c.run_at)).where(*waiting))
        if self._steady is None or last is None or (ahead := last - self._steady()) <= 0:
            return
        run_at = _job.c.run_at - ahead
        queued = update(_job).where(*waiting)
        connection.execute(queued.values(run_at=run_at, state=_state_with("run_at", run_at)))

    async def _erase_rest(self, job_id: str) -> None:
        """Erase the inputs and items of a job that is gone, in steps: the log has no room for all of a large one."""
        self._leftovers.add(job_id)
        while await self._write(lambda connection: sql.erase_some(connection, job_id), erasing=True):
            """Others get a turn."""
        self._leftovers.discard(job_id)

    async def _keep_room(self) -> ShelfwireError | None:
        """Erase what is left of jobs that are gone, and make the reserve if there is room; return what failed."""
        try:
            for job_id in sorted(self._leftovers):
                await self._erase_rest(job_id)
            await asyncio.to_thread(self._folder.room.restore)
        except ShelfwireError as error:
            return error
        except OSError as error:
            return unavailable(error)
        return None

    async def _erase_old_deliveries(self, now: int) -> ShelfwireError | None:
        """Erase the deliveries that ended long ago; return what failed."""
        try:
            if await self._read(lambda connection: outbox.any_old(connection, now)):
                await self._write(lambda connection: outbox.erase_old(connection, now), erasing=True)
        except ShelfwireError as error:
            return error
        return None

    async def write_input(self, job_id: str, name: str, part: int, data: bytes) -> None:
        """See `JobStore.write_input`."""
        row = {"job_id": job_id, "name": name, "part": part, "data": data}
        await self._write(lambda connection: connection.execute(insert(_part), row))

    async def discard_input(self, upload_id: str) -> None:
        """See `JobStore.discard_input`."""
        await self._erase_rest(upload_id)

    async def read_input(self, job_id: str, name: str) -> bytes:
        """See `JobStore.read_input`."""
        query = select(_part.c.data).where(_part.c.job_id == job_id, _part.c.name == name).order_by(_part.c.part)
        return await self._read(lambda connection: b"".join(connection.scalars(query)))

    async def inputs(self, job_id: str) -> list[InputSize]:
        """See `JobStore.inputs`."""
        return await self._read(lambda connection: creation.inputs(connection, job_id))

    async def keep(self, job_id: str, attempt: int, name: str, data: bytes, *, limit: int | None = None) -> bool:
        """See `JobStore.keep`."""
        return await self._write(lambda connection: creation.keep(connection, job_id, attempt, name, data, limit))

    async def kept(self, job_id: str, name: str) -> bytes | None:
        """See `JobStore.kept`."""
        query = select(_part.c.data).where(_part.c.job_id == job_id, _part.c.name == creation.KEPT + name)
        return await self._read(lambda connection: connection.scalar(query))

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
        return await self._write(
            lambda connection: creation.create(connection, state, grant, upload_id or state.id, idempotency, report)
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

        def work(connection: Connection) -> str | None:
            for source in sql.read_jobs(connection, [source_id]):
                records.add_audit(connection, audit)
                return creation.retry(connection, source, job_id, grant, now, idempotency, steady, mended)
            return None

        return await self._write(work)

    async def grant(self, digest: bytes, now: int) -> Grant | None:
        """See `JobStore.grant`."""
        return await self._read(lambda connection: creation.find_grant(connection, digest, now))

    async def look_up(self, digests: Collection[bytes], now: int) -> dict[bytes, tuple[Grant, Committed]]:
        """See `JobStore.look_up`."""
        return await self._read(lambda connection: look_up(connection, digests, now))

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

        def work(connection: Connection) -> bool:
            is_added = creation.add_grant(connection, grant, now, authorized_by, replaces)
            records.add_audit(connection, audit if is_added else None)
            return is_added

        return await self._write(work)

    async def revoke(self, digest: bytes) -> None:
        """See `JobStore.revoke`."""
        revoked = delete(_grant).where(_grant.c.digest == digest)
        await self._write(lambda connection: connection.execute(revoked), erasing=True)

    async def job(self, job_id: str) -> Committed | None:
        """See `JobStore.job`."""

        def work(connection: Connection) -> Committed | None:
            for state in sql.read_jobs(connection, [job_id]):
                return Committed(state=state, terminal=sql.terminal(connection, state))
            return None

        return await self._read(work)

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
        queues = list(sql.queues(pipelines, passing, now if steady is None else steady, take_over=take_over))
        if remote is not None and remote.job_id is not None:
            queues = [queue.where(_job.c.id == remote.job_id) for queue in queues]
        worker = None if remote is None else remote.worker

        def take(connection: Connection, state: JobState) -> Claimed:
            job_id = state.id
            sql.take_turn(connection, state)
            claimed = worker_transitions.claim(state, policy, now=now, steady=steady, remote=worker)
            terminal = self._save(connection, [(state, claimed)]).get(job_id)
            if claimed.status is not Status.RUNNING:
                return Claimed(state=claimed, terminal=terminal)
            if remote is not None:
                creation.add_report_grant(connection, remote.grant(claimed))
            recorded = sql.recorded_indices(connection, job_id)
            return Claimed(state=claimed, recorded=recorded, selection=creation.selection(connection, claimed))

        def work(connection: Connection) -> Claimed | None:
            candidates = (one for queue in queues for one in sql.ids(connection, queue.limit(MAX_PASSED_OVER)))
            return next(filter(None, (self._unless_damaged(connection, one, take) for one in candidates)), None)

        if not await self._read(lambda connection: any(sql.finds(connection, queue) for queue in queues)):
            return None
        return await self._write(work)

    async def lapse(self, policy: Policy, now: int, steady: int | None = None) -> Lapses:
        """See `JobStore.lapse`."""
        then = now if steady is None else steady

        def end(connection: Connection, before: JobState) -> Committed | None:
            after = worker_transitions.lapse(before, policy, now=now, steady=steady)
            if after is before:
                return None
            return Committed(state=after, terminal=self._save(connection, [(before, after)]).get(after.id))

        def work(connection: Connection) -> list[Committed]:
            ids = dict.fromkeys(sql.ids(connection, sql.lapsing(then)))
            return [one for one in (self._unless_damaged(connection, job_id, end) for job_id in ids) if one is not None]

        def look(connection: Connection) -> tuple[bool, int | None]:
            return sql.finds(connection, sql.lapsing(then)), sql.next_lapse(connection, then)

        any_lapsing, next_at = await self._read(look)
        return Lapses(changed=await self._write(work) if any_lapsing else [], next_at=next_at)

    async def claimable(self, pipelines: Sequence[str], now: int) -> list[str]:
        """See `JobStore.claimable`."""
        return await self._read(lambda connection: sql.claimable(connection, pipelines, now))

    async def ahead(self, state: JobState, *, limit: int) -> int:
        """See `JobStore.ahead`."""
        return await self._read(lambda connection: sql.ahead(connection, state, limit))

    async def recorded(self, state: JobState) -> Recorded:
        """See `JobStore.recorded`."""
        return await self._read(
            lambda connection: Recorded(
                indices=sql.recorded_indices(connection, state.id), selection=creation.selection(connection, state)
            )
        )

    async def commit(
        self, changes: Sequence[Change], policy: Policy, now: int, steady: int | None = None
    ) -> list[Committed | None]:
        """See `JobStore.commit`."""

        def work(connection: Connection) -> list[Committed | None]:
            stored = {state.id: state for state in sql.read_jobs(connection, [change.job_id for change in changes])}
            states = [change.apply(stored.get(change.job_id), policy, now=now, steady=steady) for change in changes]
            written = [
                (change, state)
                for change, state in zip(changes, states, strict=True)
                if state is not None and state is not stored[state.id]
            ]
            insert_items(connection, [(change.job_id, *item) for change, _ in written for item in change.items])
            results = {change.job_id: change.results for change, _ in written if change.results is not None}
            terminals = self._save(connection, [(stored[state.id], state) for _, state in written], results)
            return [
                None
                if row is None
                else Committed(state=row, terminal=terminals.get(row.id) or sql.terminal(connection, row))
                for row in states
            ]

        return await self._write(work)

    async def request(
        self, job_id: str, transition: Transition, now: int, audit: AuditEntry | None = None
    ) -> Committed | None:
        """See `JobStore.request`."""

        def work(connection: Connection) -> Committed | None:
            for before in sql.read_jobs(connection, [job_id]):
                state = transition(before, now)
                if before.status is Status.PAUSED and state.status is Status.QUEUED:
                    state = sql.with_turn(connection, state)
                terminals = self._save(connection, [(before, state)])
                records.add_audit(connection, audit)
                return Committed(state=state, terminal=terminals.get(job_id))
            return None

        return await self._write(work)

    async def delete(self, job_id: str, policy: Policy, now: int, audit: AuditEntry | None = None) -> Committed | None:
        """See `JobStore.delete`."""

        def work(connection: Connection) -> Committed | None:
            before, _ = sql.read_or_salvage(connection, job_id)
            if before is None:
                return None
            records.add_audit(connection, audit)
            return self._erase(connection, before, owner_transitions.delete(before, policy, now=now))

        committed = await self._write(work, erasing=True)
        try:
            await self._erase_rest(job_id)
        except ShelfwireError as error:
            log.warning("the data of a deleted job are erased later", job=job_id, code=error.code, reason=error.message)
        return committed

    async def items(
        self, job_id: str, *, after: int, limit: int, ok: bool | None = None, within: int | None = None
    ) -> list[Item]:
        """See `JobStore.items`."""
        rows = sql.log(job_id, after).limit(limit)
        if ok is not None:
            rows = rows.where(_item.c.ok == ok)

        def work(connection: Connection) -> list[Item]:
            fit = rows if within is None else rows.limit(sql.fitting_items(connection, rows, within))
            return sql.read_items(connection, fit)

        return await self._read(work)

    async def sweep(self, policy: Policy, now: int) -> Swept:
        """See `JobStore.sweep`."""
        # By the column, whatever the document says; text in it is damage.
        query = select(_job.c.id).where((_job.c.expires_at <= now) | (_job.c.expires_at > sql.MAX_INTEGER))
        erased = 0
        endings: list[Committed] = []
        damaged: list[str] = []
        failure: ShelfwireError | None = None

        def work(connection: Connection, job_id: str) -> _Erasure:
            before, is_damaged = sql.read_or_salvage(connection, job_id)
            if before is None or not sql.finds(connection, query.where(_job.c.id == job_id)):
                return _Erasure(0, None, is_damaged=False)  # it has made progress meanwhile
            is_damaged = is_damaged or before.expires_at > now
            committed = self._erase(connection, before, owner_transitions.expire(before, policy, now=now))
            return _Erasure(1, None if before.ended else committed, is_damaged=is_damaged)

        for job_id in await self._read(lambda connection: sql.ids(connection, query)):
            try:
                one = await self._write(partial(work, job_id=job_id), erasing=True)
                if one.erased:
                    await self._erase_rest(job_id)
            except ShelfwireError as error:
                if error.code == Code.STORAGE_UNAVAILABLE:
                    failure = error
                    break
                one = _Erasure(0, None, is_damaged=True)
            erased += one.erased
            endings += [] if one.ending is None else [one.ending]
            damaged += [job_id] if one.is_damaged else []
        if failure is None:
            failure = await self._erase_old_deliveries(now) or await self._keep_room() or await self._erase_old(now)
        return Swept(erased=erased, endings=endings, damaged=tuple(damaged), failure=failure)

    async def _erase_old(self, now: int) -> ShelfwireError | None:
        """Erase what is kept of the past and has expired; return what failed."""
        try:
            if await self._read(lambda connection: records.any_old(connection, now)):
                await self._write(lambda connection: records.erase_old(connection, now), erasing=True)
        except ShelfwireError as error:
            return error
        return None

    async def check(self) -> None:
        """See `JobStore.check`."""
        await self._folder.check()

    async def counts(self, now: int) -> Counts:
        """See `JobStore.counts`."""
        return await self._read(lambda connection: sql.counts(connection, now))

    def _save(
        self,
        connection: Connection,
        changes: list[tuple[JobState, JobState]],
        results: Mapping[str, msgspec.Raw] = MappingProxyType({}),
    ) -> dict[str, str]:
        """Write changed rows, and the terminal messages of those that have ended; return these by job.

        Args:
            connection: a connection in a transaction.
            changes: each row as it was read and as it is now.
            results: by job, what its message shows in place of the list of items.
        """
        indexed = [after for before, after in changes if sql.is_indexed_anew(before, after)]
        indexed_ids = {state.id for state in indexed}
        progressed = [after for _, after in changes if after.id not in indexed_ids]
        labelled = [(jobs.stored_row(state), label_of(state)) for state in indexed]
        if labelled:
            connection.execute(sql.WRITE_INDEXED, {"states": msgspec.json.encode(labelled).decode()})
        update_jobs(
            connection,
            [
                (state.id, state.lease_until, msgspec.json.encode(jobs.stored_row(state)).decode())
                for state in progressed
            ],
        )
        terminals = {
            state.id: self._encode_terminal(state, self._head(connection, state))
            if state.id not in results
            else self._encode_terminal(state, (), results[state.id])
            for state in indexed
            if state.ended
        }
        if terminals:
            endings = [{"job_id": job_id, "message": message} for job_id, message in terminals.items()]
            connection.execute(insert(_ending), endings)
        outbox.write(connection, [one for state in indexed if state.ended for one in self._announce(state)])
        return terminals

    def _unless_damaged(
        self, connection: Connection, job_id: str, work: Callable[[Connection, JobState], T | None]
    ) -> T | None:
        """Do something with one job; where its rows do not allow that, it is passed over, which the log says once."""
        savepoint = connection.begin_nested()
        try:
            state = sql.read_job(connection, job_id)
            done = None if state is None else work(connection, state)
            savepoint.commit()
        except Exception as error:
            if passes(error):
                raise
            savepoint.rollback()
            self._folder.look_at(error)
            if job_id not in self._damaged:
                self._damaged.add(job_id)
                said = "a job is damaged and is passed over; delete it, or it is erased in time"
                log.error(said, job=job_id, reason=cause_of(error))  # noqa: TRY400 - a trace has text of rows
            return None
        self._damaged.discard(job_id)
        return done

    def _erase(self, connection: Connection, before: JobState, after: JobState) -> Committed:
        terminal = sql.terminal(connection, before) if before.ended else self._encode_terminal(after, ())
        if not before.ended:
            try:
                outbox.write(connection, self._announce(after))
            except (ValueError, LookupError, TypeError) as error:
                # Of a damaged address; its job is erased all the same.
                log.error("nobody can be told that a job has ended", job=after.id, reason=cause_of(error))  # noqa: TRY400
        self._damaged.discard(before.id)
        sql.erase_head(connection, before.id)
        sql.erase_some(connection, before.id)
        return Committed(state=after, terminal=terminal)

    def _head(self, connection: Connection, state: JobState) -> list[Item]:
        if state.status is not Status.COMPLETE:
            return []
        return sql.head_of_log(connection, state.id, self._inline_limit)


def _is_remote() -> ColumnElement[bool]:
    """The condition on rows that are held by a remote worker; a damaged row is not."""
    state, held = _job.c.state, _job.c.status.in_([str(status) for status in jobs.HELD])
    remote = func.iif(func.json_valid(state), func.coalesce(func.json_extract(state, "$.remote"), 0), 0)
    return held & (remote == 1)


def _state_with(member: str, value: Any) -> Any:
    """Return the SQL of a job's state with another value of one member; one that is damaged stays as it is."""
    state = _job.c.state
    return func.iif(func.json_valid(state), func.json_set(state, f"$.{member}", value), state)
