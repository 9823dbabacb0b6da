from collections.abc import Callable

import pytest

from shelfwire.jobs.takeover import TakeoverRule
from shelfwire.protocol.job import Policy
from shelfwire.testing import FakeClock, MemoryStore, encode_terminal

POLICY = Policy(lease=1500)


async def rule_of(clock: FakeClock) -> TakeoverRule:
    async with MemoryStore(encode_terminal=encode_terminal, steady=clock.steady, shared=True) as store:
        return TakeoverRule(POLICY, clock, store.nodes)


async def test_a_node_takes_nothing_over_within_two_leases_of_its_connection() -> None:
    clock = FakeClock()
    rule = await rule_of(clock)
    clock.advance(2.9)
    assert not rule.permits
    clock.advance(0.2)
    assert rule.permits


@pytest.mark.parametrize(
    "disturb",
    [
        lambda rule, _: rule.disturbed(),
        lambda rule, _: rule.took(0.8),
        lambda _, clock: clock.advance(1.5),
    ],
    ids=["the store failed", "a commit took long", "the process stood still"],
)
async def test_nor_within_two_leases_of_a_disturbance(disturb: Callable[[TakeoverRule, FakeClock], None]) -> None:
    clock = FakeClock()
    rule = await rule_of(clock)
    clock.advance(10)
    rule.took(0.7)
    rule.beats(0.5)
    assert rule.permits
    disturb(rule, clock)
    assert not rule.permits
    rule.beats(5)
    clock.advance(3)
    assert rule.permits


def test_where_there_are_no_other_nodes_whatever_has_lost_its_worker_is_taken_at_once() -> None:
    rule = TakeoverRule(POLICY, FakeClock(), None)
    rule.disturbed()
    assert rule.permits
