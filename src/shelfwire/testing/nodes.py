"""The contract of stores that several processes share, as tests to inherit."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from shelfwire.jobs.nodes import ADMISSION_WINDOW, Hint, HintKind, Lane, Nodes, Position
from shelfwire.jobs.store import Change, JobStore
from shelfwire.protocol import owner_transitions, worker_transitions
from shelfwire.protocol.worker_transitions import ProgressDelta
from shelfwire.testing.stores import NOW, POLICY, add_job, claim, encoded

HEARD_SECONDS = 10.0
"""How long a hint may take in a test."""


class MakeNode(Protocol):
    """Opens a store on the one database of a test; several may be open at the same time."""

    def __call__(self) -> AbstractAsyncContextManager[JobStore]:
        """Open it."""
        ...


class NodesContract:
    """The duties of a shared `JobStore`. Subclass it with a fixture `make_node` that returns a `MakeNode`."""

    async def test_what_another_node_commits_is_read_again_once_it_is_newer(self, make_node: MakeNode) -> None:
        async with make_node() as one, make_node() as two:
            made = await add_job(one)
            known = Position.of(made)
            assert (await nodes_of(two).reread([known], [])).rows == []
            claimed = await claim(one)
            (row,) = (await nodes_of(two).reread([known], [])).rows
            assert row.state == claimed.state
            change = Change(
                job_id="job-1",
                attempt=1,
                created_at=NOW,
                delta=ProgressDelta(total=1, succeeded=1),
                items=encoded((0, True, None, {})),
                closing=lambda state, now: worker_transitions.complete(state, 1, "done", POLICY, now=now),
                number=1,
            )
            (ended,) = await one.commit([change], POLICY, NOW)
            (row,) = (await nodes_of(two).reread([Position.of(claimed.state)], [])).rows
        assert row == ended
        assert row.terminal

    async def test_a_row_that_is_older_than_what_a_node_knows_is_read_again_too(self, make_node: MakeNode) -> None:
        async with make_node() as one, make_node() as two:
            made = await add_job(one)
            position = Position.of(made)
            lost = Position(position.job_id, position.created_at, position.seq + 40)
            (row,) = (await nodes_of(two).reread([position, lost], [])).rows
            assert row.state == made
            above = await two.request("job-1", lambda row, _: worker_transitions.renumber(row, NOW, lost.seq), NOW)
            assert above is not None
            assert above.state.seq == lost.seq + 1
            (row,) = (await nodes_of(one).reread([lost], [])).rows
            assert row == above

    async def test_an_erased_job_is_gone_and_its_ending_is_kept(self, make_node: MakeNode) -> None:
        async with make_node() as one, make_node() as two:
            made = await add_job(one)
            ending = await one.delete("job-1", POLICY, NOW + 1)
            (gone,) = (await nodes_of(two).reread([Position.of(made)], [])).gone
        assert ending is not None
        assert gone.position == Position.of(made)
        assert gone.ending is not None
        assert (gone.ending.terminal, gone.ending.state.seq) == (ending.terminal, ending.state.seq)
        assert (gone.ending.state.id, gone.ending.state.created_at) == ("job-1", NOW)

    async def test_an_expired_job_is_gone_and_its_ending_is_kept(self, make_node: MakeNode) -> None:
        async with make_node() as one, make_node() as two:
            made = await add_job(one)
            (ending,) = (await one.sweep(POLICY, made.expires_at)).endings
            (gone,) = (await nodes_of(two).reread([Position.of(made)], [])).gone
        assert gone.ending is not None
        assert gone.ending.terminal == ending.terminal

    async def test_the_next_job_of_an_id_is_not_taken_for_the_first(self, make_node: MakeNode) -> None:
        async with make_node() as one, make_node() as two:
            first = await add_job(one)
            await one.delete("job-1", POLICY, NOW + 1)
            second = await add_job(one, now=NOW + 2)
            await claim(one, now=NOW + 2)
            news = await nodes_of(two).reread([Position.of(first), Position.of(second)], [])
        assert [gone.position for gone in news.gone] == [Position.of(first)]
        assert [row.state.created_at for row in news.rows] == [NOW + 2]

    async def test_a_revoked_token_is_read_again_as_gone(self, make_node: MakeNode) -> None:
        async with make_node() as one, make_node() as two:
            await add_job(one)
            digest = b"job-1".ljust(32)
            assert list((await nodes_of(two).reread([], [digest])).revoked) == []
            await one.revoke(digest)
            assert list((await nodes_of(two).reread([], [digest])).revoked) == [digest]

    async def test_one_claim_of_two_nodes_wins(self, make_node: MakeNode) -> None:
        async with make_node() as one, make_node() as two:
            await add_job(one)
            claims = await asyncio.gather(*(node.claim(("csv_import",), POLICY, NOW) for node in (one, two)))
        assert sorted(found.state.attempt for found in claims if found is not None) == [1]

    async def test_a_node_that_opens_frees_no_job_and_erases_no_upload(self, make_node: MakeNode) -> None:
        async with make_node() as one:
            await add_job(one)
            await claim(one)
            await one.write_input("upload", "file", 0, b"half of it")
            async with make_node() as two:
                assert await two.claim(("csv_import",), POLICY, NOW) is None
                assert await two.read_input("upload", "file") == b"half of it"

    async def test_a_claim_that_may_not_take_over_leaves_leases_that_have_ended(self, make_node: MakeNode) -> None:
        async with make_node() as one, make_node() as two:
            await add_job(one)
            await claim(one)
            after = NOW + POLICY.lease
            assert await two.claim(("csv_import",), POLICY, after, take_over=False) is None
            await add_job(one, "job-2")
            found = await two.claim(("csv_import",), POLICY, after, take_over=False)
            assert found is not None
            assert found.state.id == "job-2"
            assert (await claim(two, now=after)).state.attempt == 2

    async def test_a_node_knows_when_the_next_lease_or_backoff_ends(self, make_node: MakeNode) -> None:
        async with make_node() as one, make_node() as two:
            await add_job(one)
            assert await nodes_of(two).next_due(("csv_import",), NOW) is None
            await claim(one)
            assert await nodes_of(two).next_due(("csv_import",), NOW) == NOW + POLICY.lease
            assert await nodes_of(two).next_due(("ai_scan",), NOW) is None
            assert await nodes_of(two).next_due(("csv_import",), NOW + POLICY.lease) is None
            later = Change(
                job_id="job-1",
                attempt=1,
                created_at=NOW,
                delta=ProgressDelta(),
                closing=lambda state, now: worker_transitions.retry_later(state, 1, "broken", 500, POLICY, now=now),
            )
            await one.commit([later], POLICY, NOW)
            assert await nodes_of(two).next_due(("csv_import",), NOW) == NOW + 500

    async def test_hints_reach_the_other_nodes_alone(self, make_node: MakeNode) -> None:
        sent = [Hint(HintKind.ROW, "job-1", 2), Hint(HintKind.QUEUE), Hint(HintKind.GONE, "job-1")]
        async with make_node() as one, make_node() as two:
            nodes_of(one).send(sent)
            heard: set[Hint] = set()
            async with asyncio.timeout(HEARD_SECONDS):
                while not heard.issuperset(sent):
                    heard.update(await nodes_of(two).receive())
            nodes_of(two).send([Hint(HintKind.CONTROL, "job-1")])
            async with asyncio.timeout(HEARD_SECONDS):
                while Hint(HintKind.CONTROL, "job-1") not in (own := await nodes_of(one).receive()):
                    assert not set(own) & set(sent)

    async def test_a_request_on_one_node_is_read_again_on_the_other(self, make_node: MakeNode) -> None:
        async with make_node() as one, make_node() as two:
            await add_job(one)
            claimed = await claim(one)
            await two.request("job-1", lambda state, now: owner_transitions.cancel(state, POLICY, now=now), NOW)
            (row,) = (await nodes_of(one).reread([Position.of(claimed.state)], [])).rows
        assert row.state.status == "canceling"

    async def test_a_caller_is_counted_on_all_nodes_together_within_any_minute(self, make_node: MakeNode) -> None:
        async with make_node() as one, make_node() as two:
            first, second = nodes_of(one), nodes_of(two)
            assert await first.admit(b"a", 2, NOW) == 0
            assert await second.admit(b"a", 2, NOW + 10) == 0
            assert await first.admit(b"a", 2, NOW + 20) == ADMISSION_WINDOW - 20
            assert await second.admit(b"b", 2, NOW + 20) == 0
            assert await second.admit(b"a", 1, NOW + 30) == ADMISSION_WINDOW - 20, "a limit that was lowered"
            assert await second.admit(b"a", 2, NOW + ADMISSION_WINDOW) == 0
            assert await first.admit(b"a", 2, NOW + ADMISSION_WINDOW) == 10

    async def test_of_many_that_are_counted_at_once_as_many_pass_as_may(self, make_node: MakeNode) -> None:
        async with make_node() as one, make_node() as two:
            waits = await asyncio.gather(*(nodes_of(node).admit(b"a", 3, NOW) for node in (one, two) * 4))
        assert waits.count(0) == 3
        assert all(0 <= wait <= ADMISSION_WINDOW for wait in waits)

    async def test_nodes_change_a_lane_one_after_the_other(self, make_node: MakeNode) -> None:
        def next_turn(lane: Lane) -> Lane:
            return Lane((*lane.begun, NOW + len(lane.begun)), held_until=lane.held_until, reason=lane.reason)

        async with make_node() as one, make_node() as two:
            assert await nodes_of(two).change_lane("other", lambda lane: lane) == Lane()
            await asyncio.gather(*(nodes_of(node).change_lane("a", next_turn) for node in (one, two) * 4))
            held = await nodes_of(one).change_lane("a", lambda lane: Lane(lane.begun, NOW + 9, "key_refused"))
            assert held.begun == tuple(NOW + n for n in range(8))
            assert await nodes_of(two).change_lane("a", lambda lane: lane) == Lane(held.begun, NOW + 9, "key_refused")
            assert await nodes_of(two).change_lane("other", lambda lane: lane) == Lane()


def nodes_of(store: JobStore) -> Nodes:
    """The other nodes of a store that is shared."""
    assert store.nodes is not None
    return store.nodes
