"""How soon the command is there: `--help`, `--version`, `jobs`, and `serve` until it is ready.

Each runs in a process of its own, in turn, and beside it `python -c pass`, of which all times are given as multiples
too. A first round, which is not counted, leaves compiled modules, as an installed package has them. The limits of the
commands are on processor time, which other work on the machine disturbs least. A server counts as ready with the first
200 of `/health/ready`, once in a new data folder and once in one that is there.
"""

import argparse
import contextlib
import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import rig

SHELFWIRE: Final = (sys.executable, "-m", "shelfwire")
COMMANDS: Final[Mapping[str, float]] = {"--help": 0.3, "--version": 0.3, "jobs": 0.5}
"""With the limit on processor time in seconds."""
READY_SECONDS: Final = 1.0
POLL_SECONDS: Final = 0.002
PATIENCE_SECONDS: Final = 60.0


class Start(msgspec.Struct, frozen=True):
    """One start: seconds on the wall, and of the processor."""

    seconds: float
    processor: float


def command(words: Sequence[str], environ: Mapping[str, str]) -> Start:
    """Time a command from its start to its end."""
    began = time.perf_counter()
    process = subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    ended = time.perf_counter()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {process.returncode}")
    return Start(ended - began, usage.ru_utime + usage.ru_stime)


def server(data: Path, environ: Mapping[str, str]) -> Start:
    """Time a server from its start to its first answer that it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    began = time.perf_counter()
    words = (*SHELFWIRE, "serve", "--port", str(port), "--data", str(data))
    process = subprocess.Popen(words, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not ready(port):
            if process.poll() is not None or time.perf_counter() - began > PATIENCE_SECONDS:
                raise SystemExit(f"{' '.join(words)} does not serve")
            time.sleep(POLL_SECONDS)
        return Start(time.perf_counter() - began, rig.cpu_seconds(process.pid))
    finally:
        process.terminate()
        process.wait()


def one_round(data: Path, environ: Mapping[str, str]) -> dict[str, Start]:
    """Time everything once."""
    return {
        "pass": command((sys.executable, "-c", "pass"), environ),
        **{word: command((*SHELFWIRE, word), environ) for word in COMMANDS},
        "new": server(data, environ),
        "restarted": server(data, environ),
    }


def ready(port: int) -> bool:
    """Ask whether the server is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == http.HTTPStatus.OK
    return False


def report(
    title: str,
    starts: Sequence[Start],
    peer: Sequence[Start],
    *,
    processor: float | None = None,
    wall: float | None = None,
) -> None:
    """Print one table: both times, with their limits, and as multiples of the peer's."""
    table = []
    for name, limit, figures, peers in (
        ("processor time", processor, [start.processor for start in starts], [start.processor for start in peer]),
        ("on the wall", wall, [start.seconds for start in starts], [start.seconds for start in peer]),
    ):
        table += [
            rig.Line(f"{name}, s", rig.best(figures), limit, figures),
            rig.Line(f"{name}, as a multiple of `python -c pass`", rig.best(figures) / rig.best(peers)),
        ]
    rig.report(title, table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="each 3 times instead of 15")
    repeats = 3 if parser.parse_args().quick else 15
    rig.machine()
    with rig.scratch() as folder:
        environ = {**os.environ, "SHELFWIRE_STATE": str(folder / "state"), "PYTHONPYCACHEPREFIX": str(folder / "cache")}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        one_round(folder / "first", environ)
        rounds = [one_round(folder / str(number), environ) for number in range(repeats)]
    starts = {what: [figures[what] for figures in rounds] for what in rounds[0]}
    for word, limit in COMMANDS.items():
        report(f"shelfwire {word}, {repeats} times", starts[word], starts["pass"], processor=limit)
    for name in ("new", "restarted"):
        title = f"shelfwire serve until it is ready, {name}, {repeats} times"
        report(title, starts[name], starts["pass"], wall=READY_SECONDS)


if __name__ == "__main__":
    main()
