"""Bugs planted one at a time, to see that the oracles find them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

import msgspec
import pytest

from shelfwire.jobs import job as job_module
from shelfwire.jobs import worker as worker_module
from shelfwire.jobs.committer import Committer
from shelfwire.jobs.draft import Draft
from shelfwire.jobs.hub import Channel, Hub
from shelfwire.jobs.nodes import Gone, News, Position
from shelfwire.jobs.rereading import Rereader
from shelfwire.jobs.service import JobService
from shelfwire.jobs.store import Committed, Swept
from shelfwire.jobs.takeover import TakeoverRule
from shelfwire.jobs.worker import Worker
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions, worker_transitions
from shelfwire.protocol.job import JobState, Policy, Status
from shelfwire.protocol.tokens import Grant, Scope, canonical, digest
from shelfwire.testing.memory_nodes import MemoryNodes
from tests.simulation.store import FaultyStore

Patch = Callable[[Any, str, Any], None]
"""As `pytest.MonkeyPatch.setattr`: an object, the name of an attribute, and its new value."""


def published_before_the_commit(patch: Patch) -> None:
    write = Committer._write

    async def early(self: Committer, taken: Sequence[tuple[Draft, Any]]) -> None:
        for draft, change in taken:
            now, steady = self._clock.now(), self._clock.steady()
            state = worker_transitions.advance(
                draft.state, change.attempt, change.delta, self._policy, now=now, steady=steady
            )
            self._publish([Committed(state=state)], self._clock.monotonic())
        await write(self, taken)

    patch(Committer, "_write", early)


def a_cancel_that_reopens_an_ended_job(patch: Patch) -> None:
    cancel = owner_transitions.cancel

    def reopening(state: JobState, policy: Policy, *, now: int, steady: int | None = None) -> JobState:
        if state.ended:
            return jobs.changed(state, now, status=Status.CANCELING)
        return cancel(state, policy, now=now, steady=steady)

    patch(owner_transitions, "cancel", reopening)


def a_worker_that_never_polls(patch: Patch) -> None:
    patch(worker_module, "POLL_SECONDS", 1e9)


def a_failed_commit_that_is_forgotten(patch: Patch) -> None:
    patch(Committer, "_put_back", lambda *_: None)


def a_revocation_that_followers_do_not_hear_of(patch: Patch) -> None:
    patch(Hub, "revoke", lambda *_: None)


def an_older_row_that_is_taken(patch: Patch) -> None:
    def offer(self: Channel, committed: Committed, _: float | None = None) -> None:
        self.newest = committed
        self._frames.clear()
        for follower in self.followers:
            follower.notify()

    patch(Channel, "offer", offer)


def a_follower_that_attaches_after_reading(patch: Patch) -> None:
    @asynccontextmanager
    async def follow_with(self: JobService, token: str, job_id: str, after: int = 0) -> AsyncIterator[Any]:
        row = await self.get_with(token, canonical(job_id))
        with self._hub.follow(canonical(job_id), after, digest(token)) as (follower, offer):
            offer(row)
            yield follower

    patch(JobService, "follow_with", follow_with)


def jobs_of_one_id_that_are_not_told_apart(patch: Patch) -> None:
    async def get_with(self: JobService, token: str, job_id: str) -> tuple[Grant, Committed]:
        grant = await self.authorize(job_id, token, Scope.WATCH)
        return grant, await self.get(grant.job_id)

    patch(JobService, "_get_with", get_with)


def a_channel_for_all_jobs_of_an_id(patch: Patch) -> None:
    publish, follow = Hub.publish, Hub.follow

    def timeless(committed: Committed) -> Committed:
        return msgspec.structs.replace(committed, state=msgspec.structs.replace(committed.state, created_at=0))

    @contextmanager
    def by_id(self: Hub, *args: Any) -> Iterator[Any]:
        with follow(self, *args) as (follower, offer):
            yield follower, lambda row: offer(timeless(row))

    patch(Hub, "publish", lambda self, committed, *at: publish(self, map(timeless, committed), *at))
    patch(Hub, "follow", by_id)


def a_sweep_that_forgets_its_endings_when_it_breaks_off(patch: Patch) -> None:
    sweep = FaultyStore.sweep

    async def forgetful(self: FaultyStore, policy: Policy, now: int) -> Swept:
        swept = await sweep(self, policy, now)
        return swept if swept.failure is None else msgspec.structs.replace(swept, endings=())

    patch(FaultyStore, "sweep", forgetful)


def an_owners_call_whose_publication_dies_with_it(patch: Patch) -> None:
    async def publishing(_: JobService, __: str, commit: Any, publish: Callable[[Any], None], ___: Any) -> Any:
        committed = await commit
        publish(committed)
        return committed

    patch(JobService, "_publishing", publishing)


def a_worker_that_claims_while_its_leases_run_out(patch: Patch) -> None:
    claim = Worker._claim_one

    async def careless(self: Worker) -> bool:
        runs, self._runs = self._runs, {}
        claiming = asyncio.ensure_future(claim(self))
        await asyncio.sleep(0)
        self._runs = {**runs, **self._runs}
        return await claiming

    patch(Worker, "_claim_one", careless)


def a_request_without_an_answer_that_nobody_looks_after(patch: Patch) -> None:
    async def look(_: JobService, __: str) -> None:
        """Look at nothing."""

    patch(JobService, "_look", look)


def a_store_that_jobs_do_not_wait_for(patch: Patch) -> None:
    async def once(_: Any, call: Callable[[], Any]) -> Any:
        return await call()

    patch(job_module, "when_available", once)


def an_erasure_that_trusts_others_to_publish_the_ending(patch: Patch) -> None:
    erased = Hub.erased

    def silent(self: Hub, ending: Committed) -> None:
        with pytest.MonkeyPatch.context() as nothing:
            nothing.setattr(Hub, "_offer", lambda *_: None)
            erased(self, ending)

    patch(Hub, "erased", silent)


def progress_that_is_not_spaced(patch: Patch) -> None:
    made = Hub.__init__

    def without_interval(self: Hub, telemetry: Any = None, clock: Any = None, _: float = 0.0, *rest: Any) -> None:
        made(self, telemetry, clock, 0.0, *rest)

    patch(Hub, "__init__", without_interval)


def a_commit_that_is_not_recognised(patch: Patch) -> None:
    take = Draft.take

    def unnumbered(self: Draft, now: float) -> Any:
        return msgspec.structs.replace(take(self, now), number=0)

    patch(Draft, "take", unnumbered)


def a_wall_clock_for_leases(patch: Patch) -> None:
    claimable = worker_transitions.claimable

    def by_the_wall(state: JobState, *, now: int, steady: int | None = None) -> bool:
        del steady
        return claimable(state, now=now)

    patch(worker_transitions, "claimable", by_the_wall)


def a_node_that_believes_in_hints(patch: Patch) -> None:
    reread = Rereader._reread

    async def only_hinted(self: Rereader, only: set[str] | None) -> None:
        await reread(self, set() if only is None else only)

    patch(Rereader, "_reread", only_hinted)


def revocations_that_are_not_read_again(patch: Patch) -> None:
    patch(Hub, "digests", lambda _: {})


def an_erasure_elsewhere_without_a_farewell(patch: Patch) -> None:
    hear_gone = Hub.hear_gone

    def silent(self: Hub, gone: Gone) -> None:
        hear_gone(self, Gone(gone.position))

    patch(Hub, "hear_gone", silent)


def a_worker_that_only_hears_its_own_node(patch: Patch) -> None:
    patch(Worker, "hear", lambda *_: None)


def nodes_that_order_rows_by_their_number_alone(patch: Patch) -> None:
    a_channel_for_all_jobs_of_an_id(patch)
    reread = MemoryNodes.reread

    async def by_id(self: MemoryNodes, positions: Sequence[Position], digests: Sequence[bytes]) -> News:
        rows = [job.committed for one in positions if (job := self._database.jobs.get(one.job_id)) is not None]
        timeless = [
            msgspec.structs.replace(one, state=msgspec.structs.replace(one.state, created_at=0)) for one in rows
        ]
        news = await reread(self, (), digests)
        return msgspec.structs.replace(news, rows=timeless)

    patch(MemoryNodes, "reread", by_id)
    patch(Hub, "digests", lambda _: {})  # with an erased job its tokens are gone, which would let its followers go


def a_node_that_takes_over_whatever_it_can(patch: Patch) -> None:
    patch(TakeoverRule, "permits", property(lambda _: True))


def a_token_that_expires_for_newcomers_alone(patch: Patch) -> None:
    async def never(*_: Any) -> None:
        """Dismiss nobody."""

    patch(JobService, "_expire", never)


BUGS: Final[Mapping[Callable[[Patch], None], str]] = {
    published_before_the_commit: "a paid answer cannot be kept for a while",
    a_cancel_that_reopens_an_ended_job: "an ended job is canceled and its follower comes late",
    a_worker_that_never_polls: "the clock is set back while a job waits after an error",
    a_failed_commit_that_is_forgotten: "answers of the store are lost",
    a_revocation_that_followers_do_not_hear_of: "a token is revoked while its connection is full",
    an_older_row_that_is_taken: "an id is made again while followers attach",
    a_follower_that_attaches_after_reading: "a job ends between the reading of its row and the attachment",
    jobs_of_one_id_that_are_not_told_apart: "an id is made again while followers attach",
    a_channel_for_all_jobs_of_an_id: "an id is made again while followers read what is left of its job",
    an_owners_call_whose_publication_dies_with_it: "an owner's call is cut off between its commit and the answer",
    a_worker_that_claims_while_its_leases_run_out: "the disk stands still for longer than a lease",
    a_sweep_that_forgets_its_endings_when_it_breaks_off: "a sweep breaks off after an ending",
    a_request_without_an_answer_that_nobody_looks_after: "the answers to requests of owners are lost",
    a_store_that_jobs_do_not_wait_for: "a paid answer cannot be kept for a while",
    an_erasure_that_trusts_others_to_publish_the_ending: "a job is deleted after the answer to its ending was lost",
    progress_that_is_not_spaced: "progress comes from several sides at once",
    a_commit_that_is_not_recognised: "answers of the store are lost",
    a_wall_clock_for_leases: "the clock is set forward while a job runs",
    a_node_that_believes_in_hints: "a job is followed on two nodes that hear no hints",
    revocations_that_are_not_read_again: "a token is revoked on one node while another one hears no hints",
    an_erasure_elsewhere_without_a_farewell: "a job is deleted on one node while another one hears no hints",
    a_worker_that_only_hears_its_own_node: "a job is canceled on another node than it runs on",
    nodes_that_order_rows_by_their_number_alone: "an id is made again on another node",
    a_node_that_takes_over_whatever_it_can: "the store of two nodes is away for longer than a lease",
    a_token_that_expires_for_newcomers_alone: "a token expires while its follower is connected",
}
"""Each bug with the scenario that finds it."""
