"""Admitting direct followers: who may follow, what is read for it, and revocation at every moment."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable

import pytest

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.admission import Admission
from shelfwire.jobs.frames import Dismissal
from shelfwire.jobs.hub import Hub
from shelfwire.jobs.nodes import Hint
from shelfwire.jobs.steps import DirectFollower
from shelfwire.jobs.store import Committed
from shelfwire.protocol import job as jobs
from shelfwire.protocol.tokens import Grant, Scope, digest
from shelfwire.testing import FakeClock, MemoryStore

WATCHING = "watching"
TOKENS = {WATCHING: frozenset({Scope.WATCH}), "controlling": frozenset({Scope.CONTROL})}


Send = Callable[[Iterable[Hint]], None]


class CountingStore(MemoryStore):
    """A store whose look-ups are counted, and wait where a test wants that."""

    def __init__(self) -> None:
        super().__init__(encode_terminal=lambda *_: "{}")
        self.look_ups: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken = False

    async def look_up(self, digests: Collection[bytes], now: int) -> dict[bytes, tuple[Grant, Committed]]:
        self.look_ups.append(len(digests))
        found = await super().look_up(digests, now)
        await self.gate.wait()
        if self.broken:
            raise ShelfwireError(Code.STORAGE_UNAVAILABLE)
        return found


class Door:
    """An admission, and who has come through it."""

    def __init__(self, store: CountingStore, clock: FakeClock, *, send: Send | None = None) -> None:
        self.store = store
        self.clock = clock
        self.hub = Hub(clock=clock, send=send)
        self.admission = Admission(store, self.hub, clock)
        self.answers: list[bool] = []
        self.inside: list[tuple[str, DirectFollower]] = []

    def come(self, token: str = WATCHING, job_id: str = "job") -> DirectFollower:
        follower = DirectFollower(0, digest(token), "test")
        self.inside.append((job_id, follower))
        self.admission.admit(token, job_id, follower, self.answers.append)
        return follower

    def leave(self) -> None:
        for job_id, follower in self.inside:
            self.admission.leave(job_id, follower)
        self.inside.clear()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    clock = FakeClock()
    async with CountingStore() as store:
        state = jobs.create("job", "csv_import", now=clock.now())
        await store.create(state, Grant(digest=digest("watching"), job_id="job"))
        for token, scopes in TOKENS.items():
            await store.add_grant(Grant(digest=digest(token + "-narrow"), job_id="job", scopes=scopes), clock.now())
        brief = Grant(digest=digest("brief"), job_id="job", expires_at=clock.now() + 1000)
        await store.add_grant(brief, clock.now())
        door = Door(store, clock)
        yield door
        door.leave()
        assert (door.hub._channels, door.hub._arriving, door.hub.followers) == ({}, {}, 0)


async def test_all_who_come_in_one_turn_are_looked_up_at_once_and_the_next_of_a_known_token_not_at_all(
    door: Door,
) -> None:
    for _ in range(5):
        door.come()
        door.come("watching-narrow")
    assert door.answers == []
    await settle()
    assert (door.answers, door.store.look_ups) == ([True] * 10, [2])
    door.come()
    assert (door.answers, door.store.look_ups) == ([True] * 11, [2])


@pytest.mark.parametrize(
    ("token", "job_id"), [("wrong", "job"), ("watching", "other"), ("controlling-narrow", "job"), ("", "job")]
)
async def test_nobody_is_admitted_without_the_right_token_for_the_job(door: Door, token: str, job_id: str) -> None:
    door.come()
    await settle()
    for _ in range(2):
        door.come(token, job_id)
        await settle()
    assert door.answers == [True, False, False]


async def test_nothing_is_known_of_a_token_once_its_job_has_no_followers(door: Door) -> None:
    door.come()
    await settle()
    door.leave()
    door.come()
    await settle()
    assert door.store.look_ups == [1, 1]


async def test_a_known_token_that_expires_admits_nobody(door: Door) -> None:
    door.come("brief")
    await settle()
    door.clock.advance(1.0)
    door.come("brief")
    assert door.answers == [True, False]


async def test_a_follower_is_dismissed_when_its_token_expires_and_the_others_are_not(door: Door) -> None:
    brief, lasting = door.come("brief"), door.come()
    await settle()
    door.clock.advance(0.9)
    await settle()
    assert [one.dismissal for one in (brief, lasting)] == [None, None]
    door.clock.advance(0.1)
    await settle()
    assert [one.dismissal for one in (brief, lasting)] == [Dismissal.EXPIRED, None]


async def test_a_known_token_admits_nobody_to_a_job_that_has_expired(door: Door) -> None:
    door.come()
    await settle()
    door.clock.advance(1_000_000)
    door.come()
    assert door.answers == [True, False]


async def test_a_token_that_was_revoked_is_read_again(door: Door) -> None:
    first = door.come()
    await settle()
    await door.store.revoke(digest("watching"))
    door.hub.revoke("job", digest("watching"))
    assert first.dismissal is Dismissal.REVOKED
    door.come()
    await settle()
    assert door.answers == [True, False]


async def test_a_token_that_is_revoked_while_it_is_looked_up_admits_nobody_and_is_not_remembered(door: Door) -> None:
    door.store.gate.clear()
    door.come()
    await settle()
    await door.store.revoke(digest("watching"))
    door.hub.revoke("job", digest("watching"))
    door.store.gate.set()
    await settle()
    door.come()
    await settle()
    assert door.answers == [False, False]


async def test_a_token_that_changes_while_it_is_looked_up_is_not_remembered(door: Door) -> None:
    door.store.gate.clear()
    door.come()
    await settle()
    door.hub.forget_tokens("job")
    door.store.gate.set()
    await settle()
    door.come()
    await settle()
    assert (door.answers, door.store.look_ups) == ([True, True], [1, 1])


async def test_a_follower_that_has_left_while_its_token_was_looked_up_leaves_nothing_behind(door: Door) -> None:
    door.store.gate.clear()
    door.come()
    await settle()
    door.leave()
    door.store.gate.set()
    await settle()
    assert door.hub._channels == {}


async def test_where_the_store_cannot_be_read_nobody_is_admitted_and_the_next_are_looked_up_again(door: Door) -> None:
    door.store.broken = True
    door.come()
    await settle()
    door.store.broken = False
    door.come()
    await settle()
    assert door.answers == [False, True]


async def test_where_others_write_to_the_store_everybody_is_looked_up() -> None:
    clock = FakeClock()
    async with CountingStore() as store:
        state = jobs.create("job", "csv_import", now=clock.now())
        await store.create(state, Grant(digest=digest("watching"), job_id="job"))
        door = Door(store, clock, send=lambda _: None)
        for _ in range(2):
            door.come()
            await settle()
        assert (door.answers, store.look_ups) == ([True, True], [1, 1])
        door.leave()


async def test_a_server_that_shuts_down_seats_nobody(door: Door) -> None:
    door.hub.dismiss_all()
    with pytest.raises(ShelfwireError):
        door.come()
    door.inside.clear()
