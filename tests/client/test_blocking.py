"""The client for code without an event loop."""

import inspect
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from shelfwire.books.codes import BookCode
from shelfwire.client import Client, ConnectionLostError, Following, RefusedError
from shelfwire.client.blocking import BlockingClient, BlockingFollowing
from shelfwire.client.testing import Complete, Cut, FakeServer, InstantClock, Record, Start
from shelfwire.errors import Code

SCRIPT = (Start(2), Record("Dune"), Cut(), Record("Emma", error=BookCode.DUPLICATE), Complete("Added a book"))


def client_of(server: FakeServer) -> BlockingClient:
    return BlockingClient(http=server, clock=InstantClock())


def test_a_script_starts_follows_and_reads_a_job(tmp_path: Path) -> None:
    server = FakeServer(*SCRIPT)
    with client_of(server) as client:
        job = client.start("csv_import", file=tmp_path / "books.csv")
        messages = list(client.follow(job))
        assert messages[-1].type == "job_complete"
        assert [item["title"] for item in client.results(job, status="failed")] == ["Emma"]
        assert client.state(job)["status"] == "complete"
        assert b"".join(client.export(job)).startswith(b"index,ok,title\r\n")
        client.delete(job)
        with pytest.raises(RefusedError) as refused:
            client.state(job)
        assert refused.value.code == Code.UNAUTHORIZED


def test_it_has_every_method_that_the_client_has() -> None:
    for inner, face in {Client: BlockingClient, Following: BlockingFollowing}.items():
        methods = {name for name, _ in inspect.getmembers(inner, inspect.isfunction) if not name.startswith("_")}
        assert methods - {"aclose", "run"} <= set(dir(face))
    assert inspect.getdoc(BlockingClient.start) == inspect.getdoc(Client.start)


def test_a_follow_is_left_cut_off_and_pinged_from_the_outside() -> None:
    server = FakeServer()
    with client_of(server) as client:
        job = server.add(Start(1))
        with client.follow(job) as following:
            next(following)
            assert following.ping() == 0
            following.network_lost()
            following.cancel_reconnection()
            with pytest.raises(ConnectionLostError, match="cancelled"):
                list(following)
        for _ in client.follow(job):
            break


def test_no_thread_is_left_however_it_ends() -> None:
    server = FakeServer()
    before = threading.active_count()

    def interrupted() -> None:
        with client_of(server) as client:
            following = client.follow(server.add())
            next(following)
            items = client.results(server.add(Start(1)))
            assert next(items, None) is None
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert threading.active_count() == before


OPENED = """
import os, sys
from shelfwire import BlockingClient
from shelfwire.client.testing import FakeServer, Start
server = FakeServer(Start(2))
client = BlockingClient(http=server).__enter__()
job = client.start("pdf_report", json={})
"""
LEFT_OPEN = """
print(client.state(job)["status"])
"""
LEFT_OPEN_IN_A_FORK = """
child = os.fork()
if not child:
    sys.exit()
os.waitpid(child, 0)
print(client.state(job)["status"])
"""


@pytest.mark.parametrize("rest", [LEFT_OPEN, LEFT_OPEN_IN_A_FORK])
def test_the_interpreter_ends_though_a_client_was_never_closed(rest: str) -> None:
    command = [sys.executable, "-c", OPENED + rest]
    done = subprocess.run(command, check=True, capture_output=True, timeout=60)  # noqa: S603 - a script of this test
    assert (done.stdout, done.stderr) == (b"queued\n", b"")


def test_one_that_was_opened_without_a_block_can_be_closed() -> None:
    before = threading.active_count()
    client = client_of(FakeServer()).__enter__()
    client.close()
    client.close()
    assert not client.is_open
    assert threading.active_count() == before


def test_results_left_in_the_middle_and_dropped_after_the_client_do_no_harm() -> None:
    server = FakeServer(*SCRIPT)
    with client_of(server) as client:
        job = client.start("csv_import", json={})
        list(client.follow(job))
        items = client.results(job)
        assert next(items)["title"] == "Dune"
    items.close()  # type: ignore[attr-defined]


def test_a_client_that_is_not_open_says_how_to_use_it() -> None:
    server = FakeServer()
    client = client_of(server)
    job = server.add()
    with pytest.raises(RuntimeError, match="inside `with"):
        client.state(job)
    with client:
        following = client.follow(job)
        next(following)
    for use in (lambda: client.state(job), lambda: client.follow(job), lambda: next(following), following.ping):
        with pytest.raises(RuntimeError, match="The client is closed"):
            use()
    following.close()
    with pytest.raises(RuntimeError, match="Make another one"), client:
        pass
