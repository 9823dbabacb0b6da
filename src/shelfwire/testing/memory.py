"""A `JobStore` in memory, for tests that need an engine and no disk."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self

import msgspec

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.nodes import Lane
from shelfwire.jobs.operator_store import AuditEntry
from shelfwire.jobs.outbox import Announce, Delivery, announce_nothing
from shelfwire.jobs.page_size import fitting
from shelfwire.jobs.store import (
    MIN_RETURN,
    REPORT_GRANTS,
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
from shelfwire.protocol.job import CLAIMED_TURN, HELD, JobState, Policy, Status, Transition, next_turn
from shelfwire.protocol.tokens import GRACE, MAX_GRANTS, Grant, may_add
from shelfwire.testing.memory_corrections import MemoryCorrectionStore
from shelfwire.testing.memory_nodes import MemoryNodes
from shelfwire.testing.memory_operator import MemoryOperatorStore, MemoryRecords
from shelfwire.testing.memory_outbox import MemoryOutbox

_replace: Final = msgspec.structs.replace


class MemoryJob:
    """All that is stored of one job.

    Attributes:
        state: the row.
        items: the log, by index.
        terminal: the terminal message, once it has ended.
        selection: in a retry, which items of the input it is about; None for all.
        inputs: parts of inputs, by name and number.
        kept: data that attempts keep, by name.
        corrections: what is corrected of its items, by index.
    """

    def __init__(self, state: JobState, selection: Sequence[int] | None = None) -> None:
        self.state = state
        self.items: dict[int, Item] = {}
        self.terminal: str | None = None
        self.selection = selection
        self.inputs: dict[tuple[str, int], bytes] = {}
        self.kept: dict[str, bytes] = {}
        self.corrections: dict[int, msgspec.Raw] = {}

    @property
    def committed(self) -> Committed:
        """The row with the terminal message."""
        return Committed(state=self.state, terminal=self.terminal)


class MemoryDatabase:
    """What stores keep: it survives them, as a file survives the processes that open it.

    Attributes:
        jobs: by id.
        uploads: inputs whose job does not exist yet, by the id under which they were written.
        grants: by digest, in the order in which they were made.
        keys: the job and the fingerprint of the request that was made under each idempotency key.
        turns: the highest turn that was claimed in the queue of each pipeline.
        records: the audit and the figures by the hour.
        stores: the stores that are open on it.
        deliveries: what is to be told of endings, and until when each is held, by id and time.
        nodes: the stores that other processes hear of.
        farewells: the endings of erased jobs, for followers on other nodes, by id and when they were made.
        admissions: when each caller made jobs, for the limit that all nodes share, by its identity.
        lanes: what nodes share of outside services, by name.
    """

    def __init__(self) -> None:
        self.jobs: dict[str, MemoryJob] = {}
        self.uploads: dict[str, dict[tuple[str, int], bytes]] = {}
        self.grants: dict[bytes, Grant] = {}
        self.keys: dict[bytes, tuple[str, bytes]] = {}
        self.turns: dict[str, int] = {}
        self.records = MemoryRecords()
        self.stores: set[MemoryStore] = set()
        self.deliveries: dict[tuple[str, int], tuple[Delivery, int]] = {}
        self.nodes: dict[MemoryNodes, None] = {}
        self.farewells: dict[tuple[str, int], Committed] = {}
        self.admissions: dict[bytes, list[int]] = {}
        self.lanes: dict[str, Lane] = {}

    def insert(self, job: MemoryJob) -> None:
        """Add a job."""
        self.jobs[job.state.id] = job

    def write(
        self, job: MemoryJob, state: JobState, encode_terminal: EncodeTerminal, results: msgspec.Raw | None = None
    ) -> None:
        """Replace the row of a job, and store the terminal message if that ends it; `results` as in `Change`."""
        before, job.state = job.state, state
        if state.ended and not before.ended:
            complete = state.status is Status.COMPLETE and results is None
            head = [item for _, item in sorted(job.items.items())] if complete else ()
            job.terminal = encode_terminal(state, head, results)

    def with_turn(self, state: JobState) -> JobState:
        """Return a job that joins the queue of its pipeline, with its turn by `protocol.job.next_turn`."""
        queued = (job.state for job in self.jobs.values() if job.state.status is Status.QUEUED)
        own = (one.turn for one in queued if (one.caller, one.pipeline) == (state.caller, state.pipeline))
        turn = next_turn(self.turns.get(state.pipeline, CLAIMED_TURN), max(own, default=None))
        return _replace(state, turn=turn)

    def take_turn(self, state: JobState) -> None:
        """Note the turn of a job that is claimed from its queue."""
        self.turns[state.pipeline] = max(state.turn, self.turns.get(state.pipeline, CLAIMED_TURN))

    def erase(self, job_id: str) -> None:
        """Erase a job and all that is its own."""
        job = self.jobs.pop(job_id)
        if self.nodes and job.terminal is not None:
            self.farewells[job_id, job.state.created_at] = job.committed
        self.grants = {digest: grant for digest, grant in self.grants.items() if grant.job_id != job_id}
        self.keys = {key: made for key, made in self.keys.items() if made[0] != job_id}

    def free(self, steady: int | None) -> None:
        """Free the jobs of processes that are dead, and keep the order of the queue by the clock of the next one.

        Args:
            steady: the time of that clock; None where all processes have the same.
        """
        self.uploads.clear()
        self.deliveries = {key: (one, 0) for key, (one, _) in self.deliveries.items()}
        waiting = [job.state.run_at for job in self.jobs.values() if job.state.status is Status.QUEUED]
        ahead = 0 if steady is None else max(0, max(waiting, default=steady) - steady)
        for job in self.jobs.values():
            if job.state.remote and job.state.status in HELD:
                if steady is not None and not job.state.lapsed:
                    job.state = _replace(job.state, lease_until=steady + max(job.state.lease or 0, MIN_RETURN))
            elif job.state.status in HELD:
                job.state = _replace(job.state, lease_until=0)
            elif job.state.status is Status.QUEUED:
                job.state = _replace(job.state, lease_until=0, run_at=job.state.run_at - ahead)


class MemoryStore(MemoryOperatorStore, MemoryCorrectionStore):
    """A `JobStore` that keeps everything in memory and passes `StoreContract`. Use it as a context manager.

    Hand it to an application under test: `Shelfwire(pipelines=[Mine()], open_store=MemoryStore)`. Its calls never wait,
    and it bounds nothing, so it is not for production.

    Args:
        encode_terminal: encodes the terminal message when a job ends.
        steady: the time by which leases are kept; see `worker_transitions.claimable`.
        database: what it keeps. One that several stores have open is what several processes share. A store that opens
            it alone takes those before it for dead, and frees their jobs, as `SqliteStore` does. Its own unless given.
        announce: makes what is to be told when a job ends.
        shared: whether other processes may use the database at the same time. Opening it then frees no job.

    Attributes:
        database: as given.
        outbox: what is to be told.
        nodes: the other processes, if it is shared.
    """

    def __init__(
        self,
        *,
        encode_terminal: EncodeTerminal,
        steady: Callable[[], int] | None = None,
        database: MemoryDatabase | None = None,
        announce: Announce = announce_nothing,
        shared: bool = False,
    ) -> None:
        self._encode_terminal = encode_terminal
        self._steady = steady
        self._announce = announce
        self.database = MemoryDatabase() if database is None else database
        self.nodes = MemoryNodes(self.database, steady) if shared else None
        self.records = self.database.records
        self.outbox = MemoryOutbox(self.database)

    async def __aenter__(self) -> Self:
        """Open the database."""
        if self.nodes is not None:
            self.nodes.connect()
        elif not self.database.stores:
            self.database.free(self._steady and self._steady())
        self.database.stores.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the database as it is."""
        if self.nodes is not None:
            self.nodes.disconnect()
        self.database.stores.discard(self)

    def corrections_of(self, job_id: str) -> dict[int, msgspec.Raw] | None:
        """See `MemoryCorrectionStore`."""
        job = self.database.jobs.get(job_id)
        return None if job is None else job.corrections

    def states(self) -> Iterable[JobState]:
        """Return the rows of all jobs."""
        return (job.state for job in self.database.jobs.values())

    async def write_input(self, job_id: str, name: str, part: int, data: bytes) -> None:
        """See `JobStore.write_input`."""
        job = self.database.jobs.get(job_id)
        inputs = self.database.uploads.setdefault(job_id, {}) if job is None else job.inputs
        if (name, part) in inputs:
            raise ShelfwireError(Code.INTERNAL, f"Part {part} of the input {name} of job {job_id} is stored already")
        inputs[name, part] = data

    async def discard_input(self, job_id: str) -> None:
        """See `JobStore.discard_input`."""
        self.database.uploads.pop(job_id, None)

    async def read_input(self, job_id: str, name: str) -> bytes:
        """See `JobStore.read_input`."""
        job = self.database.jobs.get(job_id)
        inputs = self.database.uploads.get(job_id, {}) if job is None else job.inputs
        return b"".join(data for (of, _), data in sorted(inputs.items()) if of == name)

    async def inputs(self, job_id: str) -> list[InputSize]:
        """See `JobStore.inputs`."""
        job = self.database.jobs.get(job_id)
        sizes: dict[str, int] = {}
        for (name, _), data in () if job is None else job.inputs.items():
            sizes[name] = sizes.get(name, 0) + len(data)
        return [InputSize(name=name, size=size) for name, size in sorted(sizes.items())]

    async def keep(self, job_id: str, attempt: int, name: str, data: bytes, *, limit: int | None = None) -> bool:
        """See `JobStore.keep`."""
        job = self.database.jobs.get(job_id)
        if job is None or job.state.attempt != attempt or job.state.status not in HELD:
            return False
        kept = sum(map(len, {**job.kept, name: data}.values()))
        if limit is not None and kept > limit:
            raise ShelfwireError(Code.FILE_TOO_LARGE, f"Job {job_id} would keep more than {limit:,} bytes")
        job.kept[name] = data
        return True

    async def kept(self, job_id: str, name: str) -> bytes | None:
        """See `JobStore.kept`."""
        job = self.database.jobs.get(job_id)
        return None if job is None else job.kept.get(name)

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
        upload_id = upload_id or state.id
        earlier = self._replayed(grant, state.created_at, idempotency)
        if earlier is not None:
            await self.discard_input(upload_id)
            return earlier
        if state.id in self.database.jobs:
            raise ShelfwireError(Code.JOB_EXISTS, f"Job {state.id} exists")
        job = MemoryJob(state if state.status in HELD else self.database.with_turn(state))
        job.inputs = self.database.uploads.pop(upload_id, {})
        self._insert(job, grant, idempotency)
        if report is not None:
            self._add_report_grant(report)
        return state.id

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
        source = self.database.jobs.get(source_id)
        if source is None:
            return None
        earlier = self._replayed(grant, now, idempotency)
        if earlier is not None:
            self.records.add(audit)
            return earlier
        state = owner_transitions.retry(source.state, job_id, now=now, steady=steady)
        done = {index for index, item in source.items.items() if item.ok}
        left: Sequence[int] | None
        if mended is None:
            left = owner_transitions.left_undone(source.state, done, source.selection)
        else:
            left = owner_transitions.chosen(source.state, done, source.selection, mended.indices, alone=mended.alone)
        job = MemoryJob(self.database.with_turn(state), left)
        job.inputs, job.kept = dict(source.inputs), dict(source.kept)
        if mended is not None:
            job.inputs = {key: data for key, data in job.inputs.items() if key[0] != mended.name}
            job.inputs[mended.name, 0] = mended.data
        self._insert(job, grant, idempotency)
        self.records.add(audit)
        return job_id

    async def grant(self, digest: bytes, now: int) -> Grant | None:
        """See `JobStore.grant`."""
        grant = self.database.grants.get(digest)
        if grant is None or self.database.jobs[grant.job_id].state.expires_at <= now:
            return None
        return grant

    async def look_up(self, digests: Collection[bytes], now: int) -> dict[bytes, tuple[Grant, Committed]]:
        """See `JobStore.look_up`."""
        grants = [grant for digest in digests if (grant := await self.grant(digest, now)) is not None]
        return {grant.digest: (grant, self.database.jobs[grant.job_id].committed) for grant in grants}

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
        own = self._tokens(grant.job_id)
        if grant.job_id not in self.database.jobs or (authorized_by is not None and authorized_by not in own):
            return False
        self._make_room(grant.job_id, now, replaces)
        self.records.add(audit)
        self.database.grants[grant.digest] = grant
        old = None if replaces is None else own.get(replaces)
        if old is not None and (old.expires_at is None or old.expires_at > now + GRACE):
            self.database.grants[old.digest] = _replace(old, expires_at=now + GRACE)
        return True

    async def revoke(self, digest: bytes) -> None:
        """See `JobStore.revoke`."""
        self.database.grants.pop(digest, None)

    async def job(self, job_id: str) -> Committed | None:
        """See `JobStore.job`."""
        job = self.database.jobs.get(job_id)
        return None if job is None else job.committed

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
        only = None if remote is None else remote.job_id
        claimable = [
            job
            for job in self.database.jobs.values()
            if job.state.pipeline in pipelines
            and only in {None, job.state.id}
            and worker_transitions.claimable(job.state, now=now, steady=steady)
            and (take_over or job.state.status not in HELD or job.state.lease_until == 0)
            and (job.state.status in HELD or job.state.caller not in passing.get(job.state.pipeline, ()))
        ]
        if not claimable:
            return None
        job = min(claimable, key=lambda job: _urgency(job.state, pipelines))
        self.database.take_turn(job.state)
        worker = None if remote is None else remote.worker
        self._write(job, worker_transitions.claim(job.state, policy, now=now, steady=steady, remote=worker))
        if job.state.status is not Status.RUNNING:
            return Claimed(state=job.state, terminal=job.terminal)
        if remote is not None:
            self._add_report_grant(remote.grant(job.state))
        return Claimed(state=job.state, recorded=list(job.items), selection=job.selection)

    async def lapse(self, policy: Policy, now: int, steady: int | None = None) -> Lapses:
        """See `JobStore.lapse`."""
        then = now if steady is None else steady
        changed = []
        for job in self.database.jobs.values():
            state = worker_transitions.lapse(job.state, policy, now=now, steady=steady)
            if state is not job.state:
                self._write(job, state)
                changed.append(job.committed)
        states = [job.state for job in self.database.jobs.values()]
        ends = [state.lease_until for state in states if state.status in HELD]
        ends += [state.lost_at for state in states if state.lost_at is not None]
        return Lapses(changed=changed, next_at=min((end for end in ends if end > then), default=None))

    async def claimable(self, pipelines: Sequence[str], now: int) -> list[str]:
        """See `JobStore.claimable`."""
        states = (job.state for job in self.database.jobs.values())
        found = {state.pipeline for state in states if worker_transitions.claimable(state, now=now)}
        return [pipeline for pipeline in pipelines if pipeline in found]

    async def ahead(self, state: JobState, *, limit: int) -> int:
        """See `JobStore.ahead`."""
        queued = (job.state for job in self.database.jobs.values() if job.state.status is Status.QUEUED)
        own = (state.turn, state.run_at)
        return min(limit, sum(one.pipeline == state.pipeline and (one.turn, one.run_at) < own for one in queued))

    async def recorded(self, state: JobState) -> Recorded:
        """See `JobStore.recorded`."""
        job = self.database.jobs.get(state.id)
        return (
            Recorded(indices=[], selection=None)
            if job is None
            else Recorded(indices=list(job.items), selection=job.selection)
        )

    async def commit(
        self, changes: Sequence[Change], policy: Policy, now: int, steady: int | None = None
    ) -> list[Committed | None]:
        """See `JobStore.commit`."""
        states = [self._applied(change, policy, now, steady) for change in changes]
        logs = [_log(change, state, self.database.jobs) for change, state in zip(changes, states, strict=True)]
        answers: list[Committed | None] = []
        for change, state, log in zip(changes, states, logs, strict=True):
            if state is None:
                answers.append(None)
                continue
            job = self.database.jobs[state.id]
            if state is not job.state:
                job.items.update(log)
                self._write(job, state, change.results)
            answers.append(job.committed)
        return answers

    async def request(
        self, job_id: str, transition: Transition, now: int, audit: AuditEntry | None = None
    ) -> Committed | None:
        """See `JobStore.request`."""
        job = self.database.jobs.get(job_id)
        if job is None:
            return None
        state = transition(job.state, now)
        if job.state.status is Status.PAUSED and state.status is Status.QUEUED:
            state = self.database.with_turn(state)
        self._write(job, state)
        self.records.add(audit)
        return job.committed

    async def delete(self, job_id: str, policy: Policy, now: int, audit: AuditEntry | None = None) -> Committed | None:
        """See `JobStore.delete`."""
        job = self.database.jobs.get(job_id)
        if job is None:
            return None
        self._write(job, owner_transitions.delete(job.state, policy, now=now))
        self.records.add(audit)
        self.database.erase(job_id)
        return job.committed

    async def items(
        self, job_id: str, *, after: int, limit: int, ok: bool | None = None, within: int | None = None
    ) -> list[Item]:
        """See `JobStore.items`."""
        job = self.database.jobs.get(job_id)
        log = sorted(job.items.items()) if job is not None else ()
        found = [item for index, item in log if index > after and ok in {None, item.ok}][:limit]
        return found if within is None else found[: fitting([len(item.body) for item in found], within)]

    async def sweep(self, policy: Policy, now: int) -> Swept:
        """See `JobStore.sweep`."""
        self.records.erase_old(now)
        self.outbox.erase_old(now)
        expired = await self.expired(now)
        endings = [await self.expire(job_id, policy, now) for job_id in expired]
        return Swept(erased=len(expired), endings=[ending for ending in endings if ending is not None])

    async def expired(self, now: int) -> list[str]:
        """Return the ids of the jobs that a sweep erases."""
        return [job_id for job_id, job in self.database.jobs.items() if job.state.expires_at <= now]

    async def expire(self, job_id: str, policy: Policy, now: int) -> Committed | None:
        """Erase a job if it has expired; return its ending if it had none before."""
        job = self.database.jobs.get(job_id)
        if job is None or job.state.expires_at > now:
            return None
        had_ended = job.state.ended
        self._write(job, owner_transitions.expire(job.state, policy, now=now))
        self.database.erase(job_id)
        return None if had_ended else job.committed

    async def check(self) -> None:
        """See `JobStore.check`."""

    async def counts(self, now: int) -> Counts:
        """See `JobStore.counts`."""
        jobs: dict[tuple[str, str], int] = {}
        waiting: list[int] = []
        lapsed = 0
        for state in (job.state for job in self.database.jobs.values()):
            kind = state.pipeline, str(state.status)
            jobs[kind] = jobs.get(kind, 0) + 1
            if state.status is Status.QUEUED and max(state.run_at, state.lease_until) <= now:
                waiting.append(state.run_at)
            lapsed += state.status is Status.RUNNING and state.lease_until == 0
        return Counts(
            jobs=jobs,
            waiting_since=min(waiting, default=None),
            deliveries=self.outbox.counts(),
            lapsed=lapsed,
        )

    def _write(self, job: MemoryJob, state: JobState, results: msgspec.Raw | None = None) -> None:
        had_ended = job.state.ended
        self.database.write(job, state, self._encode_terminal, results)
        if state.ended and not had_ended:
            self.outbox.write(self._announce(state))

    def _applied(self, change: Change, policy: Policy, now: int, steady: int | None) -> JobState | None:
        job = self.database.jobs.get(change.job_id)
        return change.apply(None if job is None else job.state, policy, now=now, steady=steady)

    def _replayed(self, grant: Grant, now: int, idempotency: Idempotency | None) -> str | None:
        made = None if idempotency is None else self.database.keys.get(idempotency.key)
        if idempotency is None or made is None:
            return None
        job_id, fingerprint = made
        if self.database.jobs[job_id].state.expires_at <= now:
            self.database.erase(job_id)
            return None
        if fingerprint != idempotency.fingerprint:
            raise ShelfwireError(Code.IDEMPOTENCY_MISMATCH)
        self._make_room(job_id, now, None, forced=True)
        self.database.grants[grant.digest] = _replace(grant, job_id=job_id)
        return job_id

    def _insert(self, job: MemoryJob, grant: Grant, idempotency: Idempotency | None) -> None:
        self.database.insert(job)
        self.database.grants[grant.digest] = grant
        if idempotency is not None:
            self.database.keys[idempotency.key] = (job.state.id, idempotency.fingerprint)

    def _add_report_grant(self, report: Grant) -> None:
        assert report.attempt is not None
        oldest = report.attempt - REPORT_GRANTS
        self.database.grants = {
            digest: grant
            for digest, grant in self.database.grants.items()
            if grant.job_id != report.job_id or grant.attempt is None or grant.attempt > oldest
        }
        self.database.grants[report.digest] = report

    async def tokens(self, job_id: str) -> Sequence[Grant]:
        """See `OperatorStore.tokens`."""
        return list(self._tokens(job_id).values())

    def _tokens(self, job_id: str) -> dict[bytes, Grant]:
        """The tokens of a job's owner, by digest."""
        own = (grant for grant in self.database.grants.values() if grant.job_id == job_id)
        return {grant.digest: grant for grant in own if grant.attempt is None}

    def _make_room(self, job_id: str, now: int, replaces: bytes | None, *, forced: bool = False) -> None:
        """Erase as many tokens as must go before one more is added; where `forced`, also valid ones."""
        own = self._tokens(job_id)
        surplus = len(own) + 1 - MAX_GRANTS
        if surplus <= 0:
            return
        soonest_first = sorted(own.values(), key=_lifetime)
        expired = [grant for grant in soonest_first if _lifetime(grant) <= now]
        until = now if replaces is None else now + GRACE
        going = {grant.digest for grant in soonest_first if _lifetime(grant) <= until}
        lasting = len(own) - len(going)
        if not forced and not may_add(lasting, replacing=replaces is not None, repeated=replaces in going):
            raise ShelfwireError(
                Code.JOB_STATE, f"Job {job_id} has {MAX_GRANTS} tokens. Revoke one, or wait until one expires"
            )
        for grant in (soonest_first if forced else expired)[:surplus]:
            del self.database.grants[grant.digest]


def _urgency(state: JobState, pipelines: Sequence[str]) -> tuple[int, ...]:
    """The order of `JobStore.claim`, the smallest first."""
    if state.status in HELD:
        return 0, state.run_at
    return 1, pipelines.index(state.pipeline), state.turn, state.run_at


def _lifetime(grant: Grant) -> float:
    return float("inf") if grant.expires_at is None else grant.expires_at


def _log(change: Change, state: JobState | None, jobs: dict[str, MemoryJob]) -> dict[int, Item]:
    """Return the items that a change adds to a log.

    Raises:
        ShelfwireError: `E_INTERNAL`: one of them is there already.
    """
    if state is None or state is jobs[state.id].state:
        return {}
    log: dict[int, Any] = {}
    for index, ok, title, body, source in change.items:
        if index in log or index in jobs[state.id].items:
            raise ShelfwireError(Code.INTERNAL, f"Item {index} of job {state.id} is recorded already")
        log[index] = Item(index, ok, title, msgspec.Raw(body.encode()), source)
    return log
