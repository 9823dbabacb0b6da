"""Thousands of followers that come back in the same moment, as after a restart, and what others see meanwhile.

The server has one core, the clients the other. Jobs wait, so that all processor time goes into attaching. Another
process, of its own on the clients' core, asks for `/health/live` every 50 ms on a fresh connection, and sends a PING
every 5 ms on a socket that is attached before; each counts from when it was due, so that one stall shows in everything
that it delayed. The peer is the same server with nobody coming.
"""

import argparse
import asyncio
import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, cast

import msgspec
import uvloop
from websockets.asyncio.client import ClientConnection, connect

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import rig
from bench.followers import CLIENT_CORE, SERVER_CORE, Heard, Socket
from tests.servers import Server

from shelfwire.books.client import BooksClient

HEALTH_SECONDS: Final = 0.05
PING_SECONDS: Final = 0.005
HEALTH_LIMIT_MS: Final = 1000
PONG_LIMIT_MS: Final = 100
STORM_SECONDS: Final = 120.0
CALM_SECONDS: Final = 2.0
FOLLOWERS_PER_JOB: Final = 10
REQUEST: Final = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


class Seen(msgspec.Struct):
    """What the process beside saw: milliseconds from when each was due to its answer.

    Attributes:
        health: of requests for `/health/live`.
        pongs: of PINGs.
        failed: requests without a 200.
    """

    health: list[float] = []
    pongs: list[float] = []
    failed: int = 0


async def probe(port: int, path: str, token: str) -> Seen:
    """Ask until standard input ends, then wait for what is still to be answered."""
    seen, over = Seen(), asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), over.set)

    async def health(due: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(REQUEST)
        answer = await reader.read()
        seen.failed += not answer.startswith(b"HTTP/1.1 200")
        seen.health.append((time.perf_counter() - due) * 1000)
        writer.close()

    async def ping(socket: ClientConnection, due: float) -> None:
        await (await socket.ping())
        seen.pongs.append((time.perf_counter() - due) * 1000)

    headers = {"Authorization": f"Bearer {token}"}
    async with connect(f"ws://127.0.0.1:{port}{path}", additional_headers=headers, ping_interval=None) as socket:
        print("attached", flush=True)
        health_due = ping_due = time.perf_counter()
        async with asyncio.timeout(STORM_SECONDS), asyncio.TaskGroup() as asked:
            while not over.is_set():
                if time.perf_counter() >= health_due:
                    asked.create_task(health(health_due))
                    health_due += HEALTH_SECONDS
                asked.create_task(ping(socket, ping_due))
                ping_due += PING_SECONDS
                await asyncio.sleep(ping_due - time.perf_counter())
    return seen


class Prober:
    """The process beside, which asks from `start` to `stop`."""

    def __init__(self, port: int, path: str, token: str) -> None:
        self._words = [sys.executable, __file__, "--probe", str(port)]
        self._follower = msgspec.json.encode([path, token]) + b"\n"

    async def start(self) -> None:
        """Start it; returns when its follower is attached."""
        pipe = subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self._words, stdin=pipe, stdout=pipe, limit=1 << 24)
        self._process = process
        self._input, self._output = (
            cast(asyncio.StreamWriter, process.stdin),
            cast(asyncio.StreamReader, process.stdout),
        )
        self._input.write(self._follower)
        async with asyncio.timeout(STORM_SECONDS):
            await self._output.readline()

    async def stop(self) -> Seen:
        """End it, and return what it saw."""
        self._input.close()
        line = await self._output.readline()
        await self._process.wait()
        return msgspec.json.decode(line, type=Seen)


@contextlib.contextmanager
def busy_cores(count: int) -> Iterator[None]:
    """Have other processes compute on both cores in turn."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        for number, process in enumerate(others):
            os.sched_setaffinity(process.pid, [(SERVER_CORE, CLIENT_CORE)[number % 2]])
        yield
    finally:
        for process in others:
            process.kill()
            process.wait()


async def come_back(heard: Heard, port: int, paths: Sequence[tuple[str, str]]) -> float:
    """Connect all at once; return the seconds until the last is attached."""
    loop, began = asyncio.get_running_loop(), time.perf_counter()

    async def one(path: str, token: str) -> None:
        _, follower = await loop.create_connection(lambda: Socket(heard, path, token), "127.0.0.1", port)
        await follower.open

    async with asyncio.timeout(STORM_SECONDS):
        await asyncio.gather(*(one(*path) for path in paths))
    return time.perf_counter() - began


async def measure(folder: Path, followers: int, busy: int) -> None:
    """Measure calm, then the storm."""
    pace = folder / "pace.json"
    pace.write_bytes(msgspec.json.encode({"rate": 1, "seconds": 3600}))
    jobs = max(1, followers // FOLLOWERS_PER_JOB)
    script = Path(__file__).with_name("paced_server.py")
    server = Server(folder / "data", {"workers": jobs}, script=script, cpus=[SERVER_CORE], fresh=True)
    async with server, BooksClient(server.url) as client:
        refs = [await client.import_csv(pace) for _ in range(jobs)]
        port = int(server.url.rpartition(":")[2])
        paths = [(f"/ws/progress?jobId={ref.job_id}", ref.token) for ref in refs]
        with busy_cores(busy):
            prober = Prober(port, *paths[0])
            await prober.start()
            await asyncio.sleep(CALM_SECONDS)
            calm = await prober.stop()
            await prober.start()
            before = rig.cpu_seconds(server.pid)
            took = await come_back(Heard(), port, (paths * FOLLOWERS_PER_JOB)[:followers])
            cpu = rig.cpu_seconds(server.pid) - before
            storm = await prober.stop()
    show(followers, took, cpu, calm, storm)


def show(followers: int, took: float, cpu: float, calm: Seen, storm: Seen) -> None:
    """Print both."""
    for title, seen in (("nobody comes", calm), (f"{followers:,} come back at once", storm)):
        rig.report(
            title,
            [
                rig.Line("/health/live on a fresh connection, p50, ms", rig.percentile(seen.health, 50)),
                rig.Line("/health/live, p99, ms", rig.percentile(seen.health, 99), HEALTH_LIMIT_MS),
                rig.Line("/health/live, max, ms", max(seen.health)),
                rig.Line("/health/live without a 200", seen.failed),
                rig.Line("PING to PONG, p50, ms", rig.percentile(seen.pongs, 50)),
                rig.Line("PING to PONG, p99, ms", rig.percentile(seen.pongs, 99), PONG_LIMIT_MS),
                rig.Line("PING to PONG, max, ms", max(seen.pongs)),
            ],
        )
    rig.report(
        "the storm",
        [
            rig.Line("until the last is attached, s", took),
            rig.Line("processor time of the server for each, ms", 1000 * cpu / followers),
            rig.Line("p99 of /health/live as a multiple of a calm server's", _ratio(storm.health, calm.health)),
            rig.Line("p99 of PONGs as a multiple of a calm server's", _ratio(storm.pongs, calm.pongs)),
        ],
    )


def _ratio(ours: Sequence[float], calm: Sequence[float]) -> float:
    return rig.percentile(ours, 99) / rig.percentile(calm, 99)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--followers", type=int, default=2000, help="how many come (2000)")
    parser.add_argument("--quick", action="store_true", help="200 followers")
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside, on each core in turn (0)")
    parser.add_argument("--probe", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.sched_setaffinity(0, [CLIENT_CORE])
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if given.probe:
            print(
                msgspec.json.encode(runner.run(probe(given.probe, *msgspec.json.decode(sys.stdin.readline())))).decode()
            )
            return
        rig.machine()
        with rig.scratch() as folder:
            runner.run(measure(folder, 200 if given.quick else given.followers, given.busy))


if __name__ == "__main__":
    main()
