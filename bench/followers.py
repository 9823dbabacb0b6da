"""2,000 sockets on 200 running jobs of 20 updates a second each, the server on one core, the clients on the other.

Some jobs have one more socket that never reads. After the given time all jobs end at once. Latency runs from the
message's `timestamp` to its receipt, both of this machine's clock in milliseconds: the stamp is set just before the
commit, so the figure holds the commit too, and it holds the client's own turn at reading a burst of 2,000 messages.

The peer is bare uvicorn with websockets-sansio that sends a text of the same size at the same rate to as many sockets.
"""

import argparse
import asyncio
import os
import resource
import signal
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import rig
from tests.servers import Server

from shelfwire.books.client import BooksClient
from shelfwire.client import JobHandle

SERVER_CORE: Final = 0
CLIENT_CORE: Final = 1
RATE: Final = 20
FOLLOWERS_PER_JOB: Final = 10
AT_ONCE: Final = 50
"""Connections that are being made at a time."""
SETTLE_SECONDS: Final = 2.0
"""After the start, before memory is first measured: everybody's buffers have been used once by then."""
ATTACH_SECONDS: Final = 60.0
ENDING_SECONDS: Final = 30.0
HANDSHAKE: Final = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: c2hlbGZ3aXJlLWJlbmNoMQ==\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer {token}\r\n\r\n"
)
STAMP: Final = b'"timestamp":'
TEXT: Final = 0x81
CLOSE: Final = 0x88
SHORT, LONG = 126, 127


class Heard:
    """What all sockets received.

    Attributes:
        progress: milliseconds from the commit to the receipt, of each progress message.
        endings: the same, of each terminal message.
        bytes: payload of the progress messages.
        closed: sockets that got a close frame after their ending.
        counting: whether progress is to be noted.
    """

    def __init__(self) -> None:
        self.progress: list[float] = []
        self.endings: list[float] = []
        self.bytes = 0
        self.closed = 0
        self.lost = 0
        self.counting = False
        self.over = asyncio.Event()
        self.expected = 0

    def note(self, data: bytes, start: int, end: int) -> None:
        """Take one text frame's payload."""
        place = data.find(STAMP, start, end) + len(STAMP)
        late = time.time() * 1000 - int(data[place : place + 13])
        if data.startswith(b'{"type":"job_progress"', start):
            if self.counting:
                self.progress.append(late)
                self.bytes += end - start
        elif data.startswith((b'{"type":"job_complete"', b'{"type":"error"'), start):
            self.endings.append(late)

    def leave(self, *, in_order: bool) -> None:
        """A socket is done."""
        self.closed += in_order
        self.lost += not in_order
        if self.closed + self.lost == self.expected:
            self.over.set()


class Connection(asyncio.Protocol):
    """One follower, as light as can be, by whatever its request asks for.

    Attributes:
        open: is done when it is let in, with an error if it is not.
    """

    def __init__(self, heard: Heard, request: str) -> None:
        self._heard = heard
        self._request = request.encode()
        self._rest = b""
        self._in_order = False
        self.open = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask to be let in."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        self._transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note how it ended."""
        if self.open.done():
            self._heard.leave(in_order=self._in_order)
        else:
            self.open.set_exception(ConnectionError(f"not let in: {exc}"))


class Socket(Connection):
    """One follower by a WebSocket: it looks for the stamp in each frame and decodes nothing."""

    def __init__(self, heard: Heard, path: str, token: str) -> None:
        super().__init__(heard, HANDSHAKE.format(path=path, token=token))

    def data_received(self, data: bytes) -> None:
        """Take apart what came."""
        data = self._rest + data
        place = 0 if self.open.done() else self._handshake(data)
        size = len(data)
        while size - place >= 2:
            start, length = place + 2, data[place + 1]
            if length == SHORT:
                start, length = place + 4, int.from_bytes(data[place + 2 : place + 4], "big")
            elif length == LONG:
                start, length = place + 10, int.from_bytes(data[place + 2 : place + 10], "big")
            if size < start + length or start > size:
                break
            if data[place] == TEXT:
                self._heard.note(data, start, start + length)
            elif data[place] == CLOSE:
                self._in_order = True
                self._transport.write(b"\x88\x82\x00\x00\x00\x00" + data[start : start + 2])
            place = start + length
        self._rest = data[place:]

    def _handshake(self, data: bytes) -> int:
        head = data.find(b"\r\n\r\n")
        if head >= 0 and data.startswith(b"HTTP/1.1 101"):  # so small an answer comes whole from the same machine
            self.open.set_result(None)
        else:
            self.open.set_exception(ConnectionError(data.decode()))
        return head + 4


class Deaf:
    """A follower that is let in and then never reads, with the smallest buffer the kernel gives."""

    def __init__(self, port: int, path: str, token: str) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.settimeout(ENDING_SECONDS)
        self._socket.connect(("127.0.0.1", port))
        self._socket.sendall(HANDSHAKE.format(path=path, token=token).encode())
        head = self._socket.recv(12)
        if head != b"HTTP/1.1 101":
            raise ConnectionError(head.decode())

    def reads_at_last(self) -> tuple[int, bool]:
        """Read all there is: how many bytes had waited or come, and whether the ending was among them."""
        data = b""
        while part := self._socket.recv(1 << 20):
            data += part
            if b'"type":"job_complete"' in data and b"\x88\x0f\x03\xe8Job completed" in data:
                break
        self._socket.close()
        return len(data), b'"type":"job_complete"' in data


class Figures(msgspec.Struct):
    """What one server came to."""

    heard: Heard
    server_cpu: float
    client_cpu: float
    seconds: float
    attach_seconds: float
    growth: int = 0
    deaf: int = 0
    deaf_endings: int = 0
    deaf_bytes: int = 0
    peak: int = 0


async def attach(
    heard: Heard, port: int, paths: list[tuple[str, str]], follower: Callable[[Heard, str, str], Any] = Socket
) -> float:
    """Connect all followers, some at a time; return the seconds it took."""
    began = time.perf_counter()
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(path: str, token: str) -> None:
        async with gate:
            make = partial(follower, heard, path, token)
            _, made = await asyncio.get_running_loop().create_connection(make, "127.0.0.1", port)
            await made.open

    async with asyncio.timeout(ATTACH_SECONDS):
        await asyncio.gather(*(one(path, token) for path, token in paths))
    heard.expected = len(paths)
    return time.perf_counter() - began


async def listen(server: Server, heard: Heard, seconds: int) -> tuple[float, float, float, int, int]:
    """Let it run: seconds, server CPU, client CPU, memory after settling, memory before the ending."""
    heard.counting = True
    began, server_cpu, client_cpu = time.perf_counter(), rig.cpu_seconds(server.pid), time.process_time()
    server.send(signal.SIGUSR1)
    await asyncio.sleep(SETTLE_SECONDS)
    settled = rig.resident(server.pid)
    await asyncio.sleep(seconds - SETTLE_SECONDS - 0.5)
    grown = rig.resident(server.pid)
    took = time.perf_counter() - began
    used = rig.cpu_seconds(server.pid) - server_cpu, time.process_time() - client_cpu
    async with asyncio.timeout(ENDING_SECONDS):
        await heard.over.wait()
    return took, *used, settled, grown


async def shelfwire(folder: Path, jobs: int, deaf: int, seconds: int) -> Figures:
    """Measure our own server."""
    pace = folder / "pace.json"
    pace.write_bytes(msgspec.json.encode({"rate": RATE, "seconds": seconds}))
    script = Path(__file__).with_name("paced_server.py")
    server = Server(folder / "data", {"workers": jobs}, script=script, cpus=[SERVER_CORE], fresh=True)
    async with server, BooksClient(server.url) as client:
        refs: list[JobHandle] = [await client.import_csv(pace) for _ in range(jobs)]
        port = int(server.url.rpartition(":")[2])
        paths = [(f"/ws/progress?jobId={ref.job_id}", ref.token) for ref in refs]
        heard = Heard()
        attached = await attach(heard, port, paths * FOLLOWERS_PER_JOB)
        silent = [await asyncio.to_thread(Deaf, port, *path) for path in paths[:deaf]]
        took, server_cpu, client_cpu, settled, grown = await listen(server, heard, seconds)
        told = [await asyncio.to_thread(one.reads_at_last) for one in silent]
        return Figures(
            heard,
            server_cpu,
            client_cpu,
            took,
            attached,
            growth=grown - settled,
            deaf=deaf,
            deaf_endings=sum(ending for _, ending in told),
            deaf_bytes=max((size for size, _ in told), default=0),
            peak=rig.high_water(server.pid),
        )


async def peer(folder: Path, jobs: int, seconds: int, size: int) -> Figures:
    """Measure the bare transport with as many sockets and messages of `size` bytes."""
    script = Path(__file__).with_name("broadcast_server.py")
    flags = {"rate": RATE, "seconds": seconds, "size": size}
    async with Server(folder / "peer", flags, script=script, cpus=[SERVER_CORE], fresh=True) as server:
        heard = Heard()
        port = int(server.url.rpartition(":")[2])
        attached = await attach(heard, port, [("/", "none")] * (jobs * FOLLOWERS_PER_JOB))
        took, server_cpu, client_cpu, _, _ = await listen(server, heard, seconds)
        return Figures(heard, server_cpu, client_cpu, took, attached)


def show(jobs: int, seconds: int, ours: Figures, bare: Figures) -> None:
    """Print both."""
    sockets = jobs * FOLLOWERS_PER_JOB
    whole = sockets * RATE * seconds
    for name, figures in (("shelfwire", ours), ("peer: bare uvicorn, websockets-sansio", bare)):
        heard = figures.heard
        rig.report(
            f"{name}: {sockets:,} sockets, {RATE} updates a second for {seconds} s",
            [
                rig.Line("sockets attached, s", figures.attach_seconds),
                rig.Line("endings received", len(heard.endings), sockets, at_least=True),
                rig.Line("sockets lost without a close frame", heard.lost),
                rig.Line("progress messages received", len(heard.progress)),
                rig.Line("of those possible; the rest was merged into newer, %", 100 * len(heard.progress) / whole),
                rig.Line("bytes a message", heard.bytes // max(1, len(heard.progress))),
                rig.Line("commit to receipt of progress, p50, ms", rig.percentile(heard.progress, 50)),
                rig.Line("commit to receipt of progress, p99, ms", rig.percentile(heard.progress, 99), 50),
                rig.Line("commit to receipt of progress, max, ms", max(heard.progress)),
                rig.Line("commit to receipt of the endings, all at once, p99, ms", rig.percentile(heard.endings, 99)),
                rig.Line("server CPU, % of its core", 100 * figures.server_cpu / figures.seconds, 100),
                rig.Line("server CPU, s", figures.server_cpu),
                rig.Line(
                    "client CPU, % of its core: below 100, or it is what is measured",
                    100 * figures.client_cpu / figures.seconds,
                    100,
                ),
            ],
        )
    each = (ours.server_cpu / len(ours.heard.progress)) / (bare.server_cpu / len(bare.heard.progress))
    rig.report(
        "both",
        [
            rig.Line("server CPU a message as a multiple of the peer's", each),
            rig.Line(
                "p99 as a multiple of the peer's",
                rig.percentile(ours.heard.progress, 99) / max(1.0, rig.percentile(bare.heard.progress, 99)),
            ),
        ],
    )
    rig.report(
        f"{ours.deaf} sockets that never read",
        [
            rig.Line("growth of the server's memory over the run, KB", ours.growth / 1000),
            rig.Line("that for each of these sockets, KB", ours.growth / 1000 / max(1, ours.deaf)),
            rig.Line("what one of them got when it read at last, KB", ours.deaf_bytes / 1000),
            rig.Line("of them told the ending then", ours.deaf_endings, ours.deaf, at_least=True),
            rig.Line("VmHWM of the server, MB", ours.peak / rig.MEGABYTE),
        ],
    )


async def measure(folder: Path, jobs: int, seconds: int) -> None:
    """Measure both, one after the other."""
    ours = await shelfwire(folder, jobs, jobs // 10, seconds)
    size = ours.heard.bytes // len(ours.heard.progress)
    show(jobs, seconds, ours, await peer(folder, jobs, seconds, size))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="20 jobs with 200 sockets for 5 s")
    parser.add_argument("--jobs", type=int, help="how many jobs, with ten sockets each (200)")
    given = parser.parse_args()
    jobs, seconds = given.jobs or (20 if given.quick else 200), 5 if given.quick else 20
    rig.machine()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, [CLIENT_CORE])
    with rig.scratch() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure(folder, jobs, seconds))


if __name__ == "__main__":
    main()
