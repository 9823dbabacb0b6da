"""What a message to a follower costs, beside others' servers: one load, one client, in turn, medians.

Groups of sockets are sent 20 messages a second each: by shelfwire, where each group follows a job whose every update
is made durable first, the fast way and the ordinary one; and by peers that keep and decide nothing: the barest asyncio
protocol on uvloop (the floor), Node's `ws`, and Bun. The same once more over streams of events. The server has one core
and the client the other.
"""

import argparse
import asyncio
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple, Protocol, Self

import msgspec
import uvloop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import rig
from bench.followers import CLIENT_CORE, RATE, SERVER_CORE, Connection, Heard, Socket, attach, listen
from tests.ports import free_port
from tests.servers import Server

from shelfwire.books.client import BooksClient

PEERS: Final = Path(__file__).with_name("peers")
SIZE: Final = 370
"""Bytes of a message of progress."""
INSTALL_SECONDS: Final = 120
BUSY_PERCENT: Final = 20
REQUEST: Final = "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
DATA: Final = b"\ndata: "
END: Final = b"\r\n0\r\n\r\n"
PACKAGES: Final = {"ws": "ws@8", "bun": "bun@1"}


class Figures(NamedTuple):
    """What one run came to.

    Attributes:
        delivered: per cent of the possible messages.
        p50, p99: milliseconds from the stamp to the receipt.
        each: microseconds of the server's processor time for a message.
        server, client: per cent of their cores.
        others: per cent of both cores that went to other work.
        attach: milliseconds of processor time for an attachment.
        memory: KiB of the server's memory for a follower.
        lost: sockets that ended without a close frame.
        pause: milliseconds of processor time of the longest garbage collection; 0 where that is not known.
    """

    delivered: float
    p50: float
    p99: float
    each: float
    server: float
    client: float
    others: float
    attach: float
    memory: float
    lost: int
    pause: float = 0.0


class Load(NamedTuple):
    """What everybody is to do.

    Attributes:
        groups: number of groups.
        each: sockets of a group.
        rate: messages to each group in a second.
        seconds: for how long.
    """

    groups: int
    each: int
    rate: int
    seconds: int


class Stream(Connection):
    """One follower by a stream of events: it looks for the stamp in each of them."""

    def __init__(self, heard: Heard, path: str, token: str) -> None:
        super().__init__(heard, REQUEST.format(path=path, token=token))

    def data_received(self, data: bytes) -> None:
        """Take apart what came."""
        if not self.open.done():
            self.open.set_result(None)
        data = self._rest + data
        place = 0
        while (start := data.find(DATA, place)) >= 0 and (end := data.find(b"\n\n", start)) >= 0:
            self._heard.note(data, start + len(DATA), end)
            place = end
        self._rest = data[place:] if start >= 0 else data[-len(END) :]
        if data.endswith(END):
            self._in_order = True
            self._transport.close()


class Target(Protocol):
    """A server to be measured."""

    @property
    def pid(self) -> int:
        """Its process."""
        ...

    def send(self, number: signal.Signals) -> None:
        """Have it begin."""
        ...


class Peer:
    """Another server, in a process on the server's core. Use it as a context manager."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE)
        if self._process.stdout is None or not self._process.stdout.readline():
            raise RuntimeError(f"{command[0]} did not start")
        for thread in Path(f"/proc/{self.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), [SERVER_CORE])

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def send(self, _: signal.Signals) -> None:
        """Have it begin; SIGUSR1 is Node's own."""
        self._process.send_signal(signal.SIGUSR2)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()


def busy_seconds() -> float:
    """Processor time that all cores have spent on anything so far."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text("ascii").split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


async def measured(
    target: Target, port: int, paths: list[tuple[str, str]], load: Load, follower: type[Socket | Stream] = Socket
) -> Figures:
    """Attach the followers, let it run, and return what it came to."""
    heard = Heard()
    cpu, memory = rig.cpu_seconds(target.pid), rig.resident(target.pid)
    await attach(heard, port, paths, follower)
    attached, grown = rig.cpu_seconds(target.pid) - cpu, rig.resident(target.pid) - memory
    busy, began = busy_seconds(), time.perf_counter()
    took, server, client, _, _ = await listen(target, heard, load.seconds)  # type: ignore[arg-type]  # it needs no more
    others = max(0.0, busy_seconds() - busy - server - client) / (time.perf_counter() - began)
    count = max(1, len(heard.progress))
    return Figures(
        delivered=100 * len(heard.progress) / (len(paths) * load.rate * load.seconds),
        p50=rig.percentile(heard.progress or [0], 50),
        p99=rig.percentile(heard.progress or [0], 99),
        each=1e6 * server / count,
        server=100 * server / took,
        client=100 * client / took,
        others=100 * others / (os.cpu_count() or 1),
        attach=1e3 * attached / len(paths),
        memory=grown / 1024 / len(paths),
        lost=heard.lost,
    )


async def ours(folder: Path, load: Load, *, fast: bool, events: bool = False) -> Figures:
    """Measure our own server."""
    pace = folder / "pace.json"
    pace.write_bytes(msgspec.json.encode({"rate": load.rate, "seconds": load.seconds}))
    script = Path(__file__).with_name("paced_server.py")
    flags = {"workers": load.groups, "fast": fast}
    server = Server(folder / "data", flags, script=script, cpus=[SERVER_CORE], fresh=True)
    async with server, BooksClient(server.url) as client:
        handles = [await client.import_csv(pace) for _ in range(load.groups)]
        path = "/api/jobs/{}/events" if events else "/ws/progress?jobId={}"
        paths = [(path.format(one.job_id), one.token) for one in handles]
        port = int(server.url.rpartition(":")[2])
        figures = await measured(server, port, paths * load.each, load, Stream if events else Socket)
        pauses = [(await client.state(one))["summary"] for one in handles]
        return figures._replace(pause=max(map(float, pauses)))


async def peer(command: Sequence[str], folder: Path, load: Load) -> Figures:
    """Measure another server."""
    port = free_port()
    with Peer([*command, *map(str, (port, load.rate, load.seconds, SIZE, load.groups))], folder) as process:
        return await measured(process, port, [("/", "none")] * (load.groups * load.each), load)


def installed(folder: Path) -> dict[str, list[str] | str]:
    """The command of each peer, or why it is left out."""
    found: dict[str, list[str] | str] = {"floor": [sys.executable, str(PEERS / "floor.py")]}
    npm, node = shutil.which("npm"), shutil.which("node")
    for name, package in PACKAGES.items():
        if npm is None or node is None:
            found[name] = "there is no npm here"
            continue
        install = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(folder), package]
        try:
            subprocess.run(install, check=True, capture_output=True, timeout=INSTALL_SECONDS)
        except (subprocess.SubprocessError, OSError) as error:
            found[name] = f"npm cannot install {package}: {error}"
            continue
        script = folder / f"{name}.mjs"
        shutil.copy(PEERS / script.name, script)
        found[name] = [node if name == "ws" else str(folder / "node_modules/.bin/bun"), str(script)]
    return found


def show(load: Load, runs: dict[str, list[Figures]], skipped: dict[str, str]) -> None:
    """Print the medians of all, and how they compare."""
    middle = {name: Figures(*map(statistics.median, zip(*own, strict=True))) for name, own in runs.items()}
    print(
        f"\n{load.groups * load.each:,} sockets in {load.groups} groups of {load.each}, {load.rate} a second, "
        f"medians of {len(runs['floor'])}"
    )
    print(f"  {'':22}{'delivered':>10}{'p50':>6}{'p99':>6}{'µs each':>9}{'of floor':>9}{'of ws':>7}", end="")
    print(f"{'server':>8}{'client':>8}{'others':>8}{'attach ms':>11}{'KiB':>7}{'lost':>6}{'gc ms':>7}")
    for name, one in middle.items():
        floor = f"{one.each / middle['floor'].each:.2f}"
        ws = f"{one.each / middle['ws'].each:.2f}" if "ws" in middle else ""
        print(
            f"  {name:22}{one.delivered:>8.1f} %{one.p50:>6.0f}{one.p99:>6.0f}{one.each:>9.1f}{floor:>9}{ws:>7}", end=""
        )
        print(f"{one.server:>6.0f} %{one.client:>6.0f} %{one.others:>6.0f} %", end="")
        print(f"{one.attach:>11.3f}{one.memory:>7.1f}{one.lost:>6.0f}{one.pause or '':>7}")
    for name, reason in skipped.items():
        print(f"  {name}: left out, {reason}")
    if any(one.others > BUSY_PERCENT for own in runs.values() for one in own):
        print("  Other work took more than a fifth of the machine: compare ratios, and trust no time.")


OURS: Final = {
    "shelfwire": {"fast": True},
    "shelfwire, events": {"fast": True, "events": True},
    "shelfwire, fast = off": {"fast": False},
}


async def measure(folder: Path, load: Load, rounds: int, kinds: Sequence[str]) -> None:
    """Measure everybody in turn, some times."""
    found = installed(folder)
    runs: dict[str, list[Figures]] = {}
    for number in range(rounds):
        for name, command in found.items():
            if not isinstance(command, str):
                runs.setdefault(name, []).append(await peer(command, folder, load))
        for name in kinds:
            own = folder / f"{name}-{number}"
            own.mkdir()
            runs.setdefault(name, []).append(await ours(own, load, **OURS[name]))
    show(load, runs, {name: reason for name, reason in found.items() if isinstance(reason, str)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200 sockets, one round of 4 s")
    parser.add_argument("--sockets", type=int, help="how many sockets (1,000)")
    parser.add_argument("--per-job", type=int, nargs="+", default=[10], help="how many of them follow one job (10)")
    parser.add_argument("--rate", type=int, default=RATE, help="messages to each of them in a second (20)")
    parser.add_argument("--fast-only", action="store_true", help="leave out the ordinary way")
    parser.add_argument("--rounds", type=int, help="how often each is measured (3)")
    given = parser.parse_args()
    sockets = given.sockets or (200 if given.quick else 1000)
    rounds, seconds = given.rounds or (1 if given.quick else 3), 4 if given.quick else 8
    rig.machine()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, [CLIENT_CORE])
    for per_job in given.per_job:
        with rig.scratch() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            load = Load(max(1, sockets // per_job), per_job, given.rate, seconds)
            kinds = [name for name, own in OURS.items() if own["fast"] or not given.fast_only]
            runner.run(measure(folder, load, rounds, kinds))


if __name__ == "__main__":
    main()
