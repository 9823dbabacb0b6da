"""An application that starts jobs from inside, and hears of their endings."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from examples.own_pipeline import WordCount

from shelfwire.app import Shelfwire
from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.job import JobState, Status
from shelfwire.protocol.messages import Metadata
from shelfwire.protocol.tokens import Scope
from shelfwire.settings import Secret, Settings, SettingsError
from tests.receiver import SECRET, receiver

JOB = "00000000-0000-4000-8000-00000000000A"
TEXT = {"file": b"one two\n"}


class Heard:
    """What an application does when a job has ended: it notes the row, and fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.rows: asyncio.Queue[JobState] = asyncio.Queue()

    async def __call__(self, state: JobState) -> None:
        self.rows.put_nowait(state)
        self.failures -= 1
        if self.failures >= 0:
            raise ConnectionError("the mail server is away")

    async def next(self) -> JobState:
        async with asyncio.timeout(60):
            return await self.rows.get()


def application(folder: Path, on_end: Callable[[JobState], Any] | None = None, **settings: Any) -> Shelfwire:
    return Shelfwire(Settings(data=folder, **settings), pipelines=[WordCount()], plugins=[], on_end=on_end)


async def test_an_application_hears_of_the_end_of_each_job_with_its_tags(tmp_path: Path) -> None:
    heard = Heard()
    jobs = application(tmp_path, heard)
    async with jobs.lifespan():
        token = await jobs.start("word_count", TEXT, tags=["user:17"])
        state = await heard.next()
        committed = await jobs.service.get(token.job_id)
    assert state == committed.state
    assert (state.status, state.tags, state.succeeded) == (Status.COMPLETE, ("user:17",), 1)


async def test_an_ending_that_the_application_could_not_take_is_told_again_after_a_restart(tmp_path: Path) -> None:
    failing, heard = Heard(failures=100), Heard()
    jobs = application(tmp_path, failing)
    async with jobs.lifespan():
        await jobs.start("word_count", TEXT)
        first = await failing.next()
        await jobs.service.delete(first.id)
    async with application(tmp_path, heard).lifespan():
        assert await heard.next() == first


async def test_a_job_is_started_with_all_that_an_application_may_want(tmp_path: Path) -> None:
    async with receiver() as them:
        hosts: dict[str, Any] = {"callback_hosts": (f"127.0.0.1:{them.port}",), "callback_secrets": (Secret(SECRET),)}
        jobs = application(tmp_path, **hosts)
        async with jobs.lifespan():
            token = await jobs.start(
                "word_count",
                TEXT,
                metadata=Metadata(file_name="poem\x1b.txt", file_size=8),
                idempotency_key="order 17",
                job_id=JOB,
                scopes=["watch", "results"],
                token_ttl=60,
                tags=("user:17", "poem"),
                callback_url=f"http://127.0.0.1:{them.port}/",
            )
            received = await them.next()
            state = (await jobs.service.get(token.job_id)).state
            grant = await jobs.service.authorize(token.job_id, token.token, Scope.WATCH)
            with pytest.raises(ShelfwireError) as lacking:
                await jobs.service.authorize(token.job_id, token.token, Scope.CONTROL)
    assert token.job_id == JOB.lower() == received.verified["jobId"]
    assert state.metadata == Metadata(file_name="poem .txt", file_size=8)
    assert state.tags == ("user:17", "poem")
    assert token.scopes == grant.scopes == {Scope.WATCH, Scope.RESULTS}
    assert (token.expires_at, grant.ttl) == (grant.expires_at, 60_000)
    assert lacking.value.code is Code.FORBIDDEN


async def test_the_same_key_starts_one_job_and_with_other_inputs_none(tmp_path: Path) -> None:
    jobs = application(tmp_path)
    async with jobs.lifespan():
        one, again = [await jobs.start("word_count", TEXT, idempotency_key="order 17") for _ in range(2)]
        with pytest.raises(ShelfwireError) as refused:
            await jobs.start("word_count", {"file": b"three\n"}, idempotency_key="order 17")
        other = await jobs.start("word_count", TEXT, idempotency_key="order 18")
    assert one.job_id == again.job_id != other.job_id
    assert one.token != again.token
    assert refused.value.code is Code.IDEMPOTENCY_MISMATCH


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"job_id": "17"}, Code.INVALID_REQUEST),
        ({"tags": ["User 17"]}, Code.INVALID_REQUEST),
        ({"tags": "user:17"}, Code.INVALID_REQUEST),
        ({"tags": [f"tag{number}" for number in range(11)]}, Code.INVALID_REQUEST),
        ({"scopes": []}, Code.INVALID_REQUEST),
        ({"scopes": ["report"]}, Code.INVALID_REQUEST),
        ({"token_ttl": 0}, Code.INVALID_REQUEST),
        ({"callback_url": "https://hooks.example.com/"}, Code.CALLBACK_REFUSED),
    ],
)
async def test_what_cannot_be_wanted_is_refused_and_no_job_is_made(
    tmp_path: Path, wanted: dict[str, Any], code: Code
) -> None:
    jobs = application(tmp_path)
    async with jobs.lifespan():
        with pytest.raises(ShelfwireError) as refused:
            await jobs.start("word_count", TEXT, **wanted)
        assert not (await jobs.service.stats()).jobs
    assert refused.value.code is code


def test_calls_that_could_not_be_signed_are_no_setting(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="callback_secrets"):
        application(tmp_path, callback_hosts=("hooks.example.com",))
