"""The contract of every store, as tests to inherit: what is to be told when jobs end."""

import msgspec
import pytest

from shelfwire.jobs.outbox import (
    PERSISTENCE,
    RETENTION,
    Delivery,
    DeliveryStatus,
    Outcome,
    Room,
    after_try,
    announcer,
    place_of,
)
from shelfwire.jobs.store import JobStore
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions
from shelfwire.protocol.job import JobState
from shelfwire.protocol.tokens import Grant
from shelfwire.testing.stores import NOW, POLICY, MakeStore, claim, ending

announce = announcer(to_application=True)
"""What stores are given that are to pass `EndingsContract`."""
ROOM = Room(total=20, each=4, under_way={})
LATER = NOW + 60_000


class EndingsContract:
    """The duties of `JobStore` when jobs end, and of `Outbox`. The store under test was given `announce`."""

    async def test_an_ending_is_written_with_what_is_to_be_told_of_it(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await _add(store)
            await claim(store)
            assert await store.outbox.take(ROOM, NOW, LATER) == []
            (ended,) = await store.commit([ending([0])], POLICY, NOW)
            assert ended is not None
        async with make_store() as store:
            webhook, own = sorted(await store.outbox.take(ROOM, NOW, LATER), key=lambda one: one.id)
        assert (webhook.id, webhook.url, webhook.host) == (
            f"job-1.{ended.state.seq}",
            "https://hooks.example.com/a",
            "hooks.example.com",
        )
        assert msgspec.json.decode(webhook.body)["type"] == "job_complete"
        assert (own.url, own.host) == (None, "")
        assert msgspec.json.decode(own.body, type=JobState) == ended.state

    @pytest.mark.parametrize("how", ["canceled", "deleted", "expired", "given up by a claim"])
    async def test_every_way_to_end_a_job_writes_it_once(self, make_store: MakeStore, how: str) -> None:
        then = NOW
        async with make_store() as store:
            await _add(store)
            if how == "canceled":
                await store.request("job-1", lambda row, now: owner_transitions.cancel(row, POLICY, now=now), NOW)
            elif how == "expired":
                then = NOW + jobs.IDLE_TTL
                await store.sweep(POLICY, then)
            elif how == "given up by a claim":
                await claim(store)
                await store.request("job-1", lambda row, now: owner_transitions.cancel(row, POLICY, now=now), NOW)
                then = NOW + POLICY.lease
                await store.claim(("csv_import",), POLICY, then)
            await store.delete("job-1", POLICY, then)
            told = await store.outbox.take(ROOM, then, then + 1)
        assert sorted(one.url is None for one in told) == [False, True]

    async def test_a_job_without_an_address_calls_nobody(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await _add(store, url=None)
            await store.delete("job-1", POLICY, NOW)
            assert [one.url for one in await store.outbox.take(ROOM, NOW, LATER)] == [None]

    async def test_what_is_taken_is_given_to_nobody_else_until_its_time_is_over(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await _end(store)
            taken = await store.outbox.take(ROOM, NOW, LATER)
            assert len(taken) == 2
            assert await store.outbox.take(ROOM, LATER - 1, LATER) == []
            assert await store.outbox.take(ROOM, LATER, LATER + 1) == taken

    async def test_a_delivery_is_due_again_after_a_failed_try_and_never_after_one_that_succeeded(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await _end(store)
            for one in await store.outbox.take(ROOM, NOW, LATER):
                outcome = Outcome() if one.url is None else Outcome(error="HTTP 500")
                await store.outbox.settle(after_try(one, outcome, now=NOW, chance=0.5))
            assert await store.outbox.take(ROOM, NOW + 4_999, LATER) == []
        async with make_store() as store:
            (again,) = await store.outbox.take(ROOM, NOW + 5_000, LATER)
        assert (again.tries, again.last_error, again.status) == (1, "HTTP 500", DeliveryStatus.WAITING)

    async def test_a_host_has_no_more_at_once_than_there_is_room_for(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            for number in range(6):
                await _end(store, f"job-{number}")
            first = await store.outbox.take(ROOM, NOW, LATER)
            assert sorted(one.host for one in first) == [""] * 4 + ["hooks.example.com"] * 4
            busy = Room(total=20, each=4, under_way={"": 4, "hooks.example.com": 3})
            assert [one.host for one in await store.outbox.take(busy, NOW, LATER)] == ["hooks.example.com"]
            full = Room(total=20, each=20, under_way={"another": 20})
            assert await store.outbox.take(full, NOW, LATER) == []
            rest = await store.outbox.take(Room(total=2, each=4, under_way={}), NOW, LATER)
            assert len(rest) == 2

    async def test_what_was_given_up_is_tried_again_for_a_day_when_an_operator_says_so(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await _end(store)
            webhook = await _webhook(store)
            await store.outbox.settle(after_try(webhook, Outcome(error="HTTP 410", final=True), now=NOW, chance=0))
            assert (await store.counts(NOW)).deliveries == {"waiting": 0, "given_up": 1}
            assert await store.outbox.retry("nobody's.1", LATER) is None
            assert await store.outbox.retry(f"{webhook.id}.on_end", LATER) is None, "it is no webhook"
            again = await store.outbox.retry(webhook.id, LATER)
            assert again is not None
            assert (again.status, again.tries, again.give_up_at) == ("waiting", 0, LATER + PERSISTENCE)
            assert again in await store.outbox.take(ROOM, LATER, LATER + 1)
            done = after_try(again, Outcome(), now=LATER, chance=0)
            await store.outbox.settle(done)
            assert await store.outbox.retry(webhook.id, LATER) == done, "what is done is not told again"
            assert [one.url for one in await store.outbox.take(ROOM, LATER + 1, LATER + 2)] == [None]

    async def test_webhooks_are_listed_from_the_newest_by_status_and_page(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            for number in range(3):
                await _end(store, f"job-{number}", now=NOW + number)
            listed = await store.outbox.list(None, after=None, limit=2)
            assert [one.job_id for one in listed] == ["job-2", "job-1"]
            (rest,) = await store.outbox.list(None, after=place_of(listed[-1]), limit=2)
            assert rest.job_id == "job-0"
            await store.outbox.settle(after_try(rest, Outcome(), now=NOW, chance=0))
            done = await store.outbox.list(DeliveryStatus.DONE, after=None, limit=9)
            waiting = await store.outbox.list(DeliveryStatus.WAITING, after=None, limit=9)
        assert ([one.job_id for one in done], len(waiting)) == (["job-0"], 2)

    async def test_deliveries_outlive_their_job_and_go_a_week_after_their_end(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await _end(store)
            await store.outbox.settle(after_try(await _webhook(store), Outcome(), now=NOW, chance=0))
            await store.sweep(POLICY, NOW + RETENTION - 1)
            assert len(await store.outbox.list(None, after=None, limit=9)) == 1
            await store.sweep(POLICY, NOW + RETENTION)
            assert await store.outbox.list(None, after=None, limit=9) == []

    async def test_settling_what_is_gone_brings_nothing_back(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await _end(store)
            webhook = await _webhook(store)
            await store.sweep(POLICY, webhook.give_up_at + RETENTION)
            await store.outbox.settle(webhook)
            assert await store.outbox.list(None, after=None, limit=9) == []


async def _add(
    store: JobStore, job_id: str = "job-1", url: str | None = "https://hooks.example.com/a", now: int = NOW
) -> None:
    state = msgspec.structs.replace(jobs.create(job_id, "csv_import", now=now), callback_url=url)
    await store.create(state, Grant(digest=job_id.encode().ljust(32), job_id=job_id))


async def _end(store: JobStore, job_id: str = "job-1", now: int = NOW) -> None:
    await _add(store, job_id, now=now)
    await store.delete(job_id, POLICY, now)


async def _webhook(store: JobStore) -> Delivery:
    taken = await store.outbox.take(ROOM, NOW, NOW + 1)
    return next(one for one in taken if one.url is not None)
