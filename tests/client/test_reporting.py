"""Work that is reported to a real server: from coroutines, threads, scripts and forks, and through bad connections."""

import asyncio
import contextlib
import sys
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import shelfwire
from shelfwire.client import AttemptLostError, Busy, Client, JobEnded, JobHandle, RefusedError, Reporter, Stopped
from shelfwire.client.blocking import BlockingClient
from shelfwire.client.http import CutError, Request, Response
from shelfwire.client.http_client import NetworkHttpClient
from shelfwire.client.testing import FakeServer, InstantClock
from shelfwire.errors import Code, CodeEntry, ErrorCode, ShelfwireError
from shelfwire.settings import Secret
from tests.live import MakeServer
from tests.processes import ROOT, Process
from tests.receiver import SECRET, receiver

PIPELINE = "pdf_report"


class PageCode(ErrorCode):
    BROKEN = "E_PDF_BROKEN", CodeEntry(422, retryable=False, message="no pages", user_message="The file is broken.")


def new_id() -> str:
    return str(uuid.uuid4())


async def items_of(client: Client, job: JobHandle | None) -> list[tuple[int, Any]]:
    assert job is not None
    return [
        (item["index"], item.get("result", item.get("error", {}).get("code"))) async for item in client.results(job)
    ]


async def test_what_coroutines_report_is_there_when_the_block_is_left(make_server: MakeServer) -> None:
    async with make_server() as server, Client(server.url) as client:
        async with client.report(PIPELINE, total=3) as job:
            assert await job.record(0, {"words": 4}, title="Cover")
            assert await job.fail(1, "E_PAGE_BLANK", "This page is blank.")
            assert await job.record(2, object()), "an outcome that cannot be kept fails its item alone"
            job.complete("1 of 3 pages", results={"url": "https://example.org/report.pdf"})
        assert job.handle is not None
        state = await client.state(job.handle)
        assert (state["status"], state["summary"]) == ("complete", "1 of 3 pages")
        assert state["results"] == {"url": "https://example.org/report.pdf"}
        assert await items_of(client, job.handle) == [(0, {"words": 4}), (1, "E_PAGE_BLANK"), (2, "E_ITEM_INVALID")]


Open = Callable[[str], contextlib.AbstractContextManager[Reporter]]


@contextlib.contextmanager
def by_client(url: str) -> Any:
    with BlockingClient(url) as client, client.report(PIPELINE, total=400) as job:
        yield job


def by_script(url: str) -> Reporter:
    return shelfwire.report(PIPELINE, url=url, total=400)


async def test_a_job_that_is_reported_may_have_an_address_that_is_called_at_its_end(make_server: MakeServer) -> None:
    async with receiver() as them:
        allowed: dict[str, Any] = {"callback_hosts": (f"127.0.0.1:{them.port}",), "callback_secrets": (Secret(SECRET),)}
        async with make_server(**allowed) as server, Client(server.url) as client:
            url = f"http://127.0.0.1:{them.port}/ended"
            async with client.report(PIPELINE, total=1, callback_url=url) as job:
                await job.record(0, "done")
            assert job.handle is not None
            assert (await them.next()).headers["webhook-id"].startswith(f"{job.handle.job_id}.")
            with pytest.raises(RefusedError) as refused:
                async with client.report(PIPELINE, callback_url="https://127.0.0.2/"):
                    raise AssertionError("the address must be refused")
            assert refused.value.code == Code.CALLBACK_REFUSED


@pytest.mark.parametrize("opened", [by_client, by_script])
async def test_any_number_of_threads_report_to_one_job(make_server: MakeServer, opened: Open) -> None:
    def work(url: str) -> JobHandle | None:
        with opened(url) as job:

            def record(first: int) -> None:
                for index in range(first, first + 100):
                    assert job.record(index, index)

            threads = [threading.Thread(target=record, args=(first,)) for first in range(0, 400, 100)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return job.handle

    async with make_server() as server, Client(server.url) as client:
        handle = await asyncio.to_thread(work, server.url)
        assert await items_of(client, handle) == [(index, index) for index in range(400)]


async def test_a_task_that_is_tried_again_goes_on_with_its_job_and_does_nothing_twice(make_server: MakeServer) -> None:
    job_id, recorded = new_id(), []
    async with make_server() as server, Client(server.url) as client:
        handle = None
        for attempt in (1, 2):
            with contextlib.suppress(ZeroDivisionError):
                async with client.report(PIPELINE, job_id=job_id, total=4) as job:
                    assert job.attempt == attempt
                    handle = handle or job.handle
                    for index in range(4):
                        recorded.append(await job.record(index, [attempt, index]))
                        if attempt == 1 and index == 1:
                            raise ZeroDivisionError
        assert recorded == [True, True, False, False, True, True]
        assert await items_of(client, handle) == [(0, [1, 0]), (1, [1, 1]), (2, [2, 2]), (3, [2, 3])]
        with pytest.raises(JobEnded, match="complete"):
            async with client.report(PIPELINE, job_id=job_id):
                raise AssertionError("there is nothing left to do")


async def test_a_task_that_is_delivered_twice_is_done_once(make_server: MakeServer) -> None:
    job_id = new_id()
    async with make_server() as server, Client(server.url) as client:
        async with client.report(PIPELINE, job_id=job_id, total=1) as job:
            with pytest.raises(Busy, match=job_id):
                async with client.report(PIPELINE, job_id=job_id, busy_wait=0):
                    raise AssertionError("the job is in other hands")
            await job.record(0, "once")
        assert await items_of(client, job.handle) == [(0, "once")]


@pytest.mark.parametrize(("stop", "status"), [("cancel", "canceled"), ("pause", "paused")])
async def test_work_stops_when_the_owner_wants_it_to_and_confirms_it(
    make_server: MakeServer, stop: str, status: str
) -> None:
    async with make_server() as server, Client(server.url) as client:
        with pytest.raises(Stopped) as stopped:  # noqa: PT012 - leaving the block is what is tried
            async with client.report(PIPELINE, total=10_000) as job:
                assert job.handle is not None
                await job.record(0, 0)
                await getattr(client, stop)(job.handle)
                for index in range(1, 10_000):
                    await job.record(index, index)
                    await job.flush()
        assert stopped.value.stop == stop
        assert job.handle is not None
        state = await client.state(job.handle)
        assert state["status"] == status
        assert state["successCount"] >= 1
        if status == "paused":
            with pytest.raises(Stopped):
                await client.report(PIPELINE, job_id=job.job_id).__aenter__()


async def test_a_cancel_is_heard_by_work_that_reports_nothing(make_server: MakeServer) -> None:
    async with make_server() as server, Client(server.url) as client:
        with pytest.raises(Stopped):  # noqa: PT012 - leaving the block is what is tried
            async with client.report(PIPELINE, lease=1) as job:
                assert job.handle is not None
                await client.cancel(job.handle)
                while True:
                    job._box.check()
                    await asyncio.sleep(0.01)
        assert job.handle is not None
        assert (await client.state(job.handle))["status"] == "canceled"


async def test_an_error_that_no_second_try_would_mend_fails_the_job(make_server: MakeServer) -> None:
    async with make_server() as server, Client(server.url) as client:
        with pytest.raises(ShelfwireError):
            async with client.report(PIPELINE) as job:
                raise ShelfwireError(PageCode.BROKEN)
        assert job.handle is not None
        state = await client.state(job.handle)
        assert (state["status"], state["error"]["code"]) == ("failed", "E_PDF_BROKEN")
        async with client.report(PIPELINE) as job:
            job.fail_job("E_NO_PAPER", "There is no paper. Add some and try again.")
        assert job.handle is not None
        assert (await client.state(job.handle))["error"]["userMessage"] == "There is no paper. Add some and try again."


async def test_work_that_lost_its_job_is_told_so(make_server: MakeServer) -> None:
    async with make_server() as server, Client(server.url) as client:
        with pytest.raises(AttemptLostError):  # noqa: PT012 - leaving the block is what is tried
            async with client.report(PIPELINE, total=2) as job:
                assert job.handle is not None
                await client.delete(job.handle)
                await job.record(0, 0)
                await job.flush()


async def test_what_cannot_be_right_is_refused_where_it_is_said(make_server: MakeServer) -> None:
    async with make_server() as server, Client(server.url) as client:
        async with client.report(PIPELINE, total=2) as job:
            await job.record(0, 0)
            with pytest.raises(ValueError, match="recorded already"):
                await job.record(0, 1)
            with pytest.raises(ValueError, match="total is 2"):
                await job.record(2, 1)
            with pytest.raises(ValueError, match="whole number"):
                await job.record(-1, 1)
            with pytest.raises(ValueError, match="only the server gives"):
                await job.fail(1, "E_INTERNAL", "…")
            with pytest.raises(ValueError, match="whole number"):
                await job.record(True, 1)  # noqa: FBT003 - what JSON would not take for a number
            with pytest.raises(ValueError, match="needs a user_message"):
                await job.fail(1, "E_PAGE")
            for none in ("page blank", "E_page", "E_PAGE\n"):
                with pytest.raises(ValueError, match="is no code"):
                    await job.fail(1, none, "…")
                with pytest.raises(ValueError, match="is no code"):
                    job.fail_job(none, "…")
            with pytest.raises(ValueError, match="from 0 to 1"):
                job.progress(1.5)
            with pytest.raises(TypeError, match="text or None"):
                await job.record(1, 1, title=7)  # type: ignore[arg-type]
            job.start(3)
            await job.record(2, 2)
            assert [job.is_recorded(index) for index in range(3)] == [True, False, True]
        assert job.handle is not None
        assert (await client.state(job.handle))["totalCount"] == 3


async def test_one_text_is_not_taken_for_tags(make_server: MakeServer) -> None:
    async with make_server() as server, Client(server.url) as client:
        with pytest.raises(TypeError, match=r"\['user:17'\]"):
            async with client.report(PIPELINE, tags="user:17"):
                raise AssertionError("nothing begins")


async def test_a_report_that_the_server_refuses_is_raised_where_the_work_next_says_something(
    make_server: MakeServer,
) -> None:
    async with make_server() as server, Client(server.url) as client:
        with pytest.raises(RefusedError, match="E_ITEM_UNKNOWN"):  # noqa: PT012 - leaving the block is what is tried
            async with client.report(PIPELINE, total=2) as job:
                await job.record(1, 1)
                job.start(1)
                await job.flush()
        assert job.handle is not None
        state = await client.state(job.handle)
        assert (state["status"], state["userMessage"][:22]) == ("queued", "Something went wrong. "), "it is tried again"


async def test_results_of_an_ending_that_do_not_fit_beside_the_last_items_follow_them(make_server: MakeServer) -> None:
    async with make_server() as server, Client(server.url) as client:
        async with client.report(PIPELINE, total=3) as job:
            for index in range(3):
                await job.record(index, "x" * 250_000)
            job.complete("3 pages", results="y" * 700_000)
        assert job.handle is not None
        state = await client.state(job.handle)
        assert (state["status"], state["successCount"], len(state["results"])) == ("complete", 3, 700_000)


@pytest.mark.parametrize("opened", [by_client, by_script])
async def test_a_reporter_is_for_one_block(make_server: MakeServer, opened: Open) -> None:
    def work(url: str) -> None:
        with opened(url) as job:
            job.record(0, 0)
            with pytest.raises(RuntimeError, match="for one block"):
                job.__enter__()
        with pytest.raises(RuntimeError, match="block has been left"):
            job.record(1, 1)
        with pytest.raises(RuntimeError, match="for one block"):
            job.__enter__()

    async with make_server() as server:
        await asyncio.to_thread(work, server.url)


async def test_work_by_fraction_shows_whole_per_cents(make_server: MakeServer) -> None:
    async with make_server() as server, Client(server.url) as client, client.report(PIPELINE) as job:
        assert job.handle is not None
        job.progress(0.437)
        job.progress(title="Encoding", message="Nearly half")
        await job.flush()
        job.progress()
        await job.flush()
        state = await client.state(job.handle)
        assert (state["totalCount"], state["processedCount"]) == (100, 43)
        assert (state["currentTitle"], state["userMessage"]) == ("Encoding", "Nearly half")
        with pytest.warns(DeprecationWarning, match="record"):
            job.update_progress(0.5, "Encoding (55/100): Credits")
        await job.flush()
        assert (await client.state(job.handle))["processedCount"] == 55


class Lossy:
    """Loses every other answer, after the server has taken the request."""

    def __init__(self, url: str) -> None:
        self._http = NetworkHttpClient(url)
        self.lost: list[Request] = []
        self._lose = False

    async def request(self, request: Request) -> Response:
        answer = await self._http.request(request)
        self._lose = not self._lose
        if self._lose and request.path.endswith("/report"):
            self.lost.append(request)
            raise CutError("the answer is lost")
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._http, name)


async def test_reports_whose_answers_are_lost_are_sent_again_and_nothing_is_doubled(make_server: MakeServer) -> None:
    async with make_server() as server, Client(server.url) as client:
        http = Lossy(server.url)
        options: Any = {"http": http, "random_fraction": lambda: 0.0}
        async with Client(**options) as lossy, lossy.report(PIPELINE, total=3000) as job:
            for index in range(3000):
                await job.record(index, index)
        assert http.lost
        assert await items_of(client, job.handle) == [(index, index) for index in range(3000)]


async def test_blocking_in_an_event_loop_is_refused_with_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="Use an AsyncReporter"), shelfwire.report(PIPELINE):
        raise AssertionError("the loop would stand still")


async def test_a_refused_key_is_raised_where_the_block_begins(make_server: MakeServer) -> None:
    async with make_server(api_keys=(Secret("a-key-of-sixteen-characters"),)) as server:
        with pytest.raises(RefusedError) as refused:
            await asyncio.to_thread(shelfwire.report(PIPELINE, url=server.url).__enter__)
        assert refused.value.status in {401, 403}


LEFT_OPEN = """
import sys, shelfwire
job = shelfwire.report("pdf_report", url=sys.argv[1], job_id=sys.argv[2], total=2)
job.__enter__()
job.record(0, "done")
"""
FORKED = """
import os, sys, shelfwire
with shelfwire.report("pdf_report", url=sys.argv[1], job_id=sys.argv[2], total=2) as job:
    job.record(0, "parent")
    child = os.fork()
    if not child:
        try:
            job.record(1, "child")
        except RuntimeError as error:
            print(error, flush=True)
        sys.exit()
    os.waitpid(child, 0)
    job.record(1, "parent")
"""


async def run_script(folder: Path, script: str, *words: str) -> str:
    path = folder / "script.py"
    path.write_text(script)
    env = {"PYTHONPATH": ":".join([str(ROOT / "src"), *filter(None, sys.path)])}
    with Process(str(path), *words, env=env, fresh=True) as process:
        out, err = await asyncio.to_thread(process.communicate, 60)
    assert process.wait() == 0, err
    return out + err


@contextlib.asynccontextmanager
async def owned_job(server: Any) -> AsyncIterator[tuple[Client, JobHandle]]:
    """A job that waits for a worker, and its owner."""
    response = await server.http.post(f"/api/pipelines/{PIPELINE}/jobs", files={"file": ("a.pdf", b"%PDF")})
    data = response.raise_for_status().json()["data"]
    async with Client(server.url) as client:
        yield client, JobHandle(data["jobId"], data["token"])


async def test_a_script_that_ends_within_its_block_hands_the_job_back_with_what_it_has_done(
    make_server: MakeServer, tmp_path: Path
) -> None:
    async with make_server() as server, owned_job(server) as (client, job):
        await run_script(tmp_path, LEFT_OPEN, server.url, job.job_id)
        state = await client.state(job)
        assert (state["status"], state["successCount"]) == ("queued", 1)


async def test_a_fork_leaves_the_job_to_its_parent(make_server: MakeServer, tmp_path: Path) -> None:
    async with make_server() as server, owned_job(server) as (client, job):
        said = await run_script(tmp_path, FORKED, server.url, job.job_id)
        assert "Open one in this process, after the fork" in said
        assert await items_of(client, job) == [(0, "parent"), (1, "parent")]
        assert (await client.state(job))["attempt"] == 1


def test_a_task_is_tested_without_a_network() -> None:
    server = FakeServer()
    with BlockingClient(http=server) as client:
        with client.report(PIPELINE, total=2) as job:
            job.record(0, {"words": 4}, title="Cover")
            job.fail(1, "E_PAGE_BLANK", "This page is blank.", title="Page 1")
        assert [item["title"] for item in server.jobs[job.job_id].items] == ["Cover", "Page 1"]
        assert server.jobs[job.job_id].state.status == "complete"
        with pytest.raises(JobEnded), client.report(PIPELINE, job_id=job.job_id):
            raise AssertionError("there is nothing left to do")


async def test_a_cancelled_job_without_a_network_stops_its_work_and_a_broken_one_is_tried_again() -> None:
    server = FakeServer()
    async with Client(http=server, clock=InstantClock()) as client:
        with pytest.raises(ZeroDivisionError):  # noqa: PT012 - leaving the block is what is tried
            async with client.report(PIPELINE, total=2) as job:
                await job.record(0, 0)
                raise ZeroDivisionError
        handle = job.handle
        assert handle is not None
        with pytest.raises(Stopped):  # noqa: PT012 - leaving the block is what is tried
            async with client.report(PIPELINE, job_id=job.job_id) as job:
                assert job.attempt == 2
                assert not await job.record(0, 0)
                await client.cancel(handle)
                job.progress(title="the last page")
                await job.flush()
        assert (await client.state(handle))["status"] == "canceled"
