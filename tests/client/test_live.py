"""The client against a real server: all transports, control, tokens, keys and what must not be logged."""

import asyncio
import logging
import uuid
from pathlib import Path
from typing import Any

import pytest

from shelfwire.client import Client, JobHandle, RefusedError, Transport
from shelfwire.client.blocking import BlockingClient
from shelfwire.errors import Code
from shelfwire.protocol.messages import JobComplete, JobError, JobProgress, Message
from shelfwire.settings import Secret
from tests.live import MakeServer, Server

EXAMPLE = Path(__file__).parents[2] / "examples" / "goodreads_export.csv"
TRANSPORTS = [transport.value for transport in Transport]
KEY = Secret("a-key-of-sixteen-characters")


async def gated_job(server: Server) -> JobHandle:
    created = await server.submit()
    return JobHandle(created["jobId"], created["token"])


async def received(client: Client, job: JobHandle) -> list[Message]:
    return [message async for message in client.follow(job)]


async def until_processed(following: Any, count: int) -> None:
    async for message in following:
        if isinstance(message.payload, JobProgress) and message.payload.processed_count >= count:
            return
    raise AssertionError(f"the job ended before {count} items were done")


async def test_all_transports_deliver_the_same_messages_of_a_job(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await gated_job(server)
        sequences: dict[str, list[Message]] = {name: [] for name in TRANSPORTS}
        seen = {name: asyncio.Event() for name in TRANSPORTS}

        async def follow(name: str) -> None:
            async with Client(server.url, transports=(name,)) as client:
                following = client.follow(job)
                async for message in following:
                    sequences[name].append(message)
                    if isinstance(message.payload, JobProgress) and message.payload.processed_count == 3:
                        seen[name].set()
                assert following.transport == name

        async with asyncio.TaskGroup() as tasks:
            for name in TRANSPORTS:
                tasks.create_task(follow(name))
            server.gate.steps.put_nowait(3)
            for event in seen.values():
                await event.wait()
            server.gate.steps.put_nowait(2)
            server.gate.steps.put_nowait(None)
    # Progress in between may be merged, and how far differs; the messages of one revision never do.
    of_revision: dict[tuple[int | None, str], Message] = {}
    for messages in sequences.values():
        assert [message.type for message in messages].count("job_started") == 1
        assert isinstance(messages[-1].payload, JobComplete)
        assert messages[-1].payload.success_count == 5
        for message in messages:
            assert of_revision.setdefault((message.seq, message.type), message) == message


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_ended_job_is_the_same_on_every_transport(make_server: MakeServer, transport: str) -> None:
    async with make_server() as server, Client(server.url) as client:
        job = await client.start("csv_import", file=EXAMPLE)
        await client.follow(job).run()
        reference = await received(client, job)
        async with Client(server.url, transports=(transport,)) as other:
            assert await received(other, job) == reference


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_job_is_paused_resumed_and_canceled_under_its_followers_eyes(
    make_server: MakeServer, transport: str
) -> None:
    async with make_server(gated=True) as server, Client(server.url, transports=(transport,)) as client:
        job = await gated_job(server)
        following = client.follow(job)
        server.gate.steps.put_nowait(1)
        await until_processed(following, 1)
        await client.pause(job)
        server.gate.steps.put_nowait(1)
        async for message in following:
            if isinstance(message.payload, JobProgress) and message.payload.state == "paused":
                break
        assert (await client.state(job))["status"] == "paused"
        await client.resume(job)
        server.gate.steps.put_nowait(1)
        await until_processed(following, 2)
        await client.cancel(job)
        server.gate.steps.put_nowait(1)
        ending = await following.run()
        assert isinstance(ending.payload, JobError)
        assert ending.payload.code == Code.JOB_CANCELED
        with pytest.raises(RefusedError) as refused:
            await client.resume(job)
        assert (refused.value.code, refused.value.status) == (Code.JOB_STATE, 409)


async def test_what_failed_is_retried_as_a_new_job(make_server: MakeServer) -> None:
    async with make_server() as server, Client(server.url) as client:
        job = await client.start("csv_import", file=EXAMPLE)
        await client.follow(job).run()
        failed = [item["index"] async for item in client.results(job, status="failed")]
        again = await client.retry(job)
        await client.follow(again).run()
        assert again.job_id != job.job_id
        assert (await client.state(again))["retryOf"] == job.job_id
        assert [item["sourceIndex"] async for item in client.results(again)] == failed
        mended = {"index": failed[0], "book": {"title": "A book that was mended"}}
        one = await client.retry(job, items=[mended], only_items=True)
        await client.follow(one).run()
        assert [item["title"] async for item in client.results(one)] == ["A book that was mended"]


@pytest.mark.parametrize("transport", [Transport.WEBSOCKET, Transport.SSE])
async def test_a_deleted_job_ends_for_who_follows_and_is_gone(make_server: MakeServer, transport: str) -> None:
    async with make_server(gated=True) as server, Client(server.url, transports=(transport,)) as client:
        job = await gated_job(server)
        following = client.follow(job)
        await anext(following)
        await client.delete(job)
        ending = await following.run()
        assert isinstance(ending.payload, JobError)
        with pytest.raises(RefusedError) as refused:
            await client.state(job)
        assert refused.value.code == Code.UNAUTHORIZED


async def test_a_poll_of_a_deleted_job_shows_its_ending_or_finds_it_gone(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server, Client(server.url, transports=("polling",)) as client:
        job = await gated_job(server)
        following = client.follow(job)
        await anext(following)
        await client.delete(job)
        try:
            ending = await following.run()
        except RefusedError as refused:
            code = refused.code  # the deletion fell between two polls
        else:
            assert isinstance(ending.payload, JobError)
            code = ending.payload.code
        assert code in {Code.UNAUTHORIZED, Code.JOB_CANCELED}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_revoked_token_ends_the_follows_it_let_in_and_no_others(
    make_server: MakeServer, transport: str
) -> None:
    async with (
        make_server(gated=True) as server,
        Client(server.url, transports=(transport,), delays=(0.01, 0.01)) as client,
    ):
        job = await gated_job(server)
        guest = await client.new_token(job, scopes=["watch", "control"])
        mine, theirs = client.follow(job), client.follow(guest)
        await anext(mine)
        await anext(theirs)
        await client.revoke(guest)
        with pytest.raises(RefusedError) as refused:
            await theirs.run()
        assert refused.value.code == Code.UNAUTHORIZED
        server.gate.steps.put_nowait(None)
        assert (await mine.run()).type == "job_complete"


async def test_a_token_for_watching_watches_and_nothing_else(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server, Client(server.url) as client:
        job = await gated_job(server)
        guest = await client.new_token(job, scopes=["watch"], expires_in=60)
        await anext(client.follow(guest))
        for asking in (client.cancel(guest), client.rotate(guest), anext(client.results(guest))):
            with pytest.raises(RefusedError) as refused:
                await asking
            assert refused.value.code == Code.FORBIDDEN


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_token_that_ends_during_a_follow_is_replaced_in_time(make_server: MakeServer, transport: str) -> None:
    async with make_server(gated=True) as server, Client(server.url, transports=(transport,)) as client:
        job = await gated_job(server)
        short = await client.new_token(job, scopes=["watch", "control"], expires_in=1)
        kept = asyncio.Queue[JobHandle]()
        following = client.follow(short, on_token=kept.put)
        await anext(following)
        new = await kept.get()
        assert (await client.state(new))["status"] == "running"
        server.gate.steps.put_nowait(None)
        assert (await following.run()).terminal


async def test_keys_let_in_and_the_limit_says_when_to_come_back(make_server: MakeServer) -> None:
    async with make_server(gated=True, api_keys=(KEY,), create_limit=1) as server:
        async with Client(server.url) as stranger:
            with pytest.raises(RefusedError) as refused:
                await stranger.start("csv_import", file=EXAMPLE)
            assert refused.value.code == Code.UNAUTHORIZED
        async with Client(server.url, api_key=KEY.reveal()) as client:
            await client.start("csv_import", file=EXAMPLE)
            with pytest.raises(RefusedError) as refused:
                await client.start("csv_import", file=EXAMPLE)
            assert (refused.value.status, refused.value.code) == (429, "E_RATE_LIMITED")
            assert refused.value.retry_after is not None


async def test_a_chosen_id_and_a_named_request_make_one_job(make_server: MakeServer) -> None:
    async with make_server() as server, Client(server.url) as client:
        mine = str(uuid.uuid4())
        first = await client.start("csv_import", file=EXAMPLE, job_id=mine, idempotency_key="k")
        again = await client.start("csv_import", file=EXAMPLE, job_id=mine, idempotency_key="k")
        assert first.job_id == again.job_id == mine
        with pytest.raises(RefusedError) as refused:
            await client.start("csv_import", file=EXAMPLE, job_id=mine)
        assert refused.value.code == Code.JOB_EXISTS


async def test_an_export_over_many_pages_is_one_table(make_server: MakeServer, tmp_path: Path) -> None:
    path = tmp_path / "many.csv"
    path.write_text("Title\n" + "".join(f"Book {number}\n" for number in range(2500)))
    async with make_server() as server, Client(server.url) as client:
        job = await client.start("csv_import", file=path)
        await client.follow(job).run()
        lines = b"".join([part async for part in client.export(job)]).decode().splitlines()
        documents = b"".join([part async for part in client.export(job, kind="ndjson")]).splitlines()
    assert [line.startswith("index,") for line in lines] == [True, *[False] * 2500]
    assert len(documents) == 2500


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_ping_is_answered_by_a_real_server(make_server: MakeServer, transport: str) -> None:
    async with make_server(gated=True) as server, Client(server.url, transports=(transport,)) as client:
        following = client.follow(await gated_job(server))
        await anext(following)
        assert 0 < await following.ping() < 10


async def test_no_secret_reaches_a_log_even_at_its_most_talkative(
    make_server: MakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with make_server(api_keys=(KEY,)) as server:
        caplog.set_level(logging.DEBUG)
        tokens = []
        for transport in TRANSPORTS:
            async with Client(server.url, transports=(transport,), api_key=KEY.reveal()) as client:
                job = await client.start("csv_import", file=EXAMPLE)
                tokens.append(job.token)
                await client.follow(job).run()
    assert caplog.text
    assert [secret for secret in (KEY.reveal(), *tokens) if secret in caplog.text] == []


async def test_a_script_uses_a_real_server(make_server: MakeServer) -> None:
    def script(url: str) -> tuple[str, int]:
        with BlockingClient(url) as client:
            job = client.start("csv_import", file=EXAMPLE)
            *_, last = client.follow(job)
            return last.type, len(list(client.results(job)))

    async with make_server() as server:
        assert await asyncio.to_thread(script, server.url) == ("job_complete", 168)
