import asyncio
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from shelfwire import app as apps
from shelfwire.app import Shelfwire
from shelfwire.jobs.frames import Frame
from shelfwire.jobs.hub import Follower
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.plugins import Plugin, PluginContext
from shelfwire.protocol.feed import Due
from shelfwire.protocol.job import Status
from shelfwire.server import http_protocol
from shelfwire.server.discovery import running_server
from shelfwire.server.serving import StartError, _bind, serving
from shelfwire.settings import Settings
from shelfwire.stores.sqlite.data_folder import DataFolderBusyError
from shelfwire.testing import FakeClock
from tests.live import live_server


def settings_in(folder: Path, **options: object) -> Settings:
    return Settings(data=folder / "data", port=0, **options)  # type: ignore[arg-type]


async def test_a_running_server_is_found_by_its_data_folder_and_a_stopped_one_is_not(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    assert running_server(settings.data) is None
    async with serving(Shelfwire(settings), settings) as url:
        assert running_server(settings.data) == url
        assert stat.S_IMODE((settings.data / "server.json").stat().st_mode) == 0o600
        async with httpx2.AsyncClient(timeout=60) as http:
            assert (await http.get(f"{url}/health/live")).status_code == 200
    assert running_server(settings.data) is None


async def test_the_address_is_for_its_owner_alone_whatever_file_was_there(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    settings.data.mkdir()
    left = settings.data / "server.json"
    left.write_bytes(b"{}")
    left.chmod(0o666)
    async with serving(Shelfwire(settings), settings) as url:
        assert running_server(settings.data) == url
        assert stat.S_IMODE(left.stat().st_mode) == 0o600


async def test_a_broken_announcement_is_no_server(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_bytes(b"{half")
    assert running_server(tmp_path) is None


async def test_a_port_that_is_taken_is_named_with_what_to_do(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with serving(Shelfwire(settings), settings) as url:
        other = settings_in(tmp_path / "other")
        taken = Settings(data=other.data, port=int(url.rpartition(":")[2]))
        with pytest.raises(StartError, match=f"{taken.port}.*--port 0"):
            async with serving(Shelfwire(taken), taken):
                pass


async def test_a_data_folder_in_use_stops_the_second_server_and_harms_the_first_in_nothing(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with serving(Shelfwire(settings), settings) as url:
        with pytest.raises(DataFolderBusyError):
            async with serving(Shelfwire(settings), settings):
                pass
        assert running_server(settings.data) == url
        async with httpx2.AsyncClient(timeout=60) as http:
            assert (await http.get(f"{url}/health/ready")).status_code == 200


async def test_what_goes_wrong_in_the_callers_context_comes_out_as_it_was(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    with pytest.raises(KeyError, match="mine"):
        async with serving(Shelfwire(settings), settings):
            raise KeyError("mine")


async def test_whatever_parsers_are_installed_the_head_of_a_request_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uvicorn.protocols.http.auto.AutoHTTPProtocol", None)
    async with live_server(tmp_path) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX-Endless: " + b"x" * 80_000)
        async with asyncio.timeout(60):
            answer = await reader.readline()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("sent", [b"", b"GET /health/live HTTP/1.1\r\nHost: local", b"\x00\xff"])
@pytest.mark.parametrize(
    "before", [b"", b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"], ids=["first", "next"]
)
async def test_a_connection_on_which_no_request_comes_to_the_end_of_its_head_is_closed(
    tmp_path: Path, before: bytes, sent: bytes
) -> None:
    async with live_server(tmp_path, keep_alive=0.1) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        writer.write(before)
        if before:
            await reader.readuntil(b'{"status":"ok"}')
        writer.write(sent)
        async with asyncio.timeout(60):
            await reader.read()
        writer.close()


async def test_an_idle_connection_outlives_what_phones_believe_in_and_a_head_that_has_begun_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Settings().keep_alive == 75
    monkeypatch.setattr(http_protocol, "HEAD_SECONDS", 0.05)
    async with live_server(tmp_path, keep_alive=60) as server:
        port = int(server.url.rsplit(":", 1)[1])
        (idle, idle_writer), (begun, begun_writer) = [await asyncio.open_connection("127.0.0.1", port) for _ in "12"]
        begun_writer.write(b"GET /health/live HT")
        async with asyncio.timeout(10):
            assert await begun.read() == b""
        idle_writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await idle.readline() == b"HTTP/1.1 200 OK\r\n"
        idle_writer.close()
        begun_writer.close()


async def test_a_body_and_an_answer_may_take_longer_than_a_head(tmp_path: Path) -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\nTitle\nEmma\n\r\n--b--\r\n'

    async def piecemeal() -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        for at in range(0, len(body), 20):
            yield body[at : at + 20]
            later = asyncio.Event()
            loop.call_later(0.02, later.set)
            await later.wait()

    async with live_server(tmp_path, keep_alive=0.01) as server:
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        answer = await server.http.post("/api/import/csv-gemini", content=piecemeal(), headers=headers)
        assert answer.status_code == 202


async def test_it_listens_on_ipv6_loopback_too(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, host="::1")
    async with serving(Shelfwire(settings), settings) as url, httpx2.AsyncClient(timeout=60) as http:
        assert url.startswith("http://[::1]:")
        assert (await http.get(f"{url}/health/live")).status_code == 200


async def test_a_pipeline_that_will_not_let_go_does_not_keep_the_server_from_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apps, "GRACE_SECONDS", 0.05)
    entered, release = asyncio.Event(), asyncio.Event()

    class Stubborn(Pipeline):
        name = "csv_import"

        async def run(self, _: Job) -> str:
            entered.set()
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue
            return "Done"

    settings = settings_in(tmp_path)
    async with (
        serving(Shelfwire(settings, pipelines=[Stubborn()]), settings) as url,
        httpx2.AsyncClient(timeout=60) as http,
    ):
        await http.post(f"{url}/api/import/csv-gemini", files={"file": ("a.csv", b"Title\nEmma\n")})
        await entered.wait()
    release.set()


async def test_who_follows_a_job_that_expires_before_it_has_ended_hears_its_ending(tmp_path: Path) -> None:
    clock = FakeClock()
    app = Shelfwire(settings_in(tmp_path), work=False, clock=clock)

    async def told(follower: Follower) -> list[Frame]:
        return [frame async for frame in follower.frames()]

    async with app.lifespan(), asyncio.timeout(60):
        created = await app.start("csv_import", {"file": b"Title\nEmma\n"})
        async with app.service.follow(created.job_id) as follower:
            listening = asyncio.create_task(told(follower))
            while not listening.done():
                await asyncio.wait({listening}, timeout=0.002)
                clock.advance(3600)
    (*_, last) = listening.result()
    assert (last.due, last.state.status) == (Due.ENDING, Status.CANCELED)


async def test_a_part_that_breaks_is_logged_and_the_server_is_not_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def broken(*_: object) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr(apps, "_sweep", broken)
    settings = settings_in(tmp_path)
    async with serving(Shelfwire(settings), settings) as url, httpx2.AsyncClient(timeout=60) as http:
        assert (await http.get(f"{url}/health/ready")).status_code == 503
        assert (await http.get(f"{url}/health/live")).status_code == 200
    assert "the server is broken" in capsys.readouterr().out


async def test_a_server_that_is_stopped_while_it_starts_leaves_nothing_open(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    opening, closed = asyncio.Event(), asyncio.Event()

    class Slow(Plugin):
        name = "slow"

        @asynccontextmanager
        async def running(self, context: PluginContext) -> AsyncIterator[None]:
            del context
            opening.set()
            try:
                await asyncio.Event().wait()
                yield
            finally:
                closed.set()

    async def start() -> None:
        async with serving(Shelfwire(settings, plugins=[Slow()]), settings):
            raise AssertionError("it must not come so far")

    starting = asyncio.create_task(start())
    async with asyncio.timeout(60):
        await opening.wait()
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
    assert closed.is_set()


async def test_answers_leave_at_once_where_the_loop_is_asyncios_own(tmp_path: Path) -> None:
    delays: asyncio.Queue[bool] = asyncio.Queue()

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        delays.put_nowait(not writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    with _bind(settings_in(tmp_path)) as listener:
        async with await asyncio.start_server(note, sock=listener):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            assert await delays.get() is False
            writer.close()
