"""Whatever a network does to a follow, what is received is a legal sequence of messages with the one ending."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.codes import BookCode
from shelfwire.client import Client, Transport
from shelfwire.client.http import CutError, NetworkError, Response, UnreachableError
from shelfwire.client.testing import (
    Complete,
    Cut,
    Fail,
    FakeServer,
    InstantClock,
    Record,
    Say,
    Start,
    Step,
)
from shelfwire.protocol.feed import Due
from shelfwire.protocol.messages import Message, encode
from tests.story import legal_story

TOTAL = 6
MIDDLE = [Record("Dune"), Record("?", error=BookCode.ROW_INVALID), Say("Looking closely…"), Cut()]
TROUBLE: list[Response | NetworkError] = [
    Response(502, {}, b"<html>Bad gateway</html>"),
    Response(426, {}, b""),
    CutError("reset"),
    UnreachableError("refused"),
]
steps = st.lists(st.sampled_from(MIDDLE), max_size=10).filter(
    lambda middle: sum(isinstance(step, Record) for step in middle) <= TOTAL
)


@given(
    middle=steps,
    ending=st.sampled_from([Complete("Added books"), Fail(BookCode.CSV_NO_BOOKS)]),
    allowed=st.permutations(list(Transport)),
    trouble=st.dictionaries(st.integers(0, 12), st.sampled_from([*TROUBLE, "other network"]), max_size=4),
)
def test_a_follow_through_any_trouble_is_one_legal_story(
    middle: list[Step], ending: Step, allowed: list[Transport], trouble: dict[int, Response | NetworkError | str]
) -> None:
    async def follow() -> list[Message]:
        client = Client(http=server, clock=InstantClock(), transports=allowed, random_fraction=lambda: 0.0)
        messages: list[Message] = []
        async with client.follow(job) as following:
            async for message in following:
                match trouble.get(len(messages)):
                    case None:
                        pass
                    case str():
                        following.network_lost()
                        following.network_restored()
                    case trick:
                        server.will.append(trick)
                        following.network_restored()
                messages.append(message)
        return messages

    server = FakeServer()
    job = server.add(Start(TOTAL), *middle, ending)
    messages = asyncio.run(follow())
    (stored,) = server.jobs[job.job_id].messages((Due.ENDING,))
    legal_story(messages, encode(stored))
