"""What the measurements share: a server process, its memory, a library to import, and a table to print."""

import contextlib
import os
import platform
import random
import sqlite3
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec
import psutil
from examples.make_library import write_library

MEGABYTE: Final = 1_000_000
SAMPLE_SECONDS: Final = 0.02


class Line(msgspec.Struct, frozen=True):
    """One line of a report.

    Attributes:
        what: what was measured, with its unit.
        measured: the figure.
        limit: what it may be at most; None where it is only told.
        spread: the smallest and the largest of several measurements.
        at_least: `limit` is a floor instead.
    """

    what: str
    measured: float
    limit: float | None = None
    spread: Sequence[float] = ()
    at_least: bool = False


def report(title: str, lines: Sequence[Line]) -> None:
    """Print a table: measured, limit, and the share of the limit that was used."""
    print(f"\n{title}")
    print(f"  {'':62} {'measured':>12} {'limit':>10} {'of limit':>9}  spread")
    for line in lines:
        limit = ratio = ""
        if line.limit is not None:
            limit = f"{'≥' if line.at_least else '≤'} {line.limit:,g}"
            ratio = f"{line.measured / line.limit:.2f}" if line.limit else ""
        spread = f"{_figure(min(line.spread))} … {_figure(max(line.spread))}" if len(line.spread) > 1 else ""
        print(f"  {line.what:62} {_figure(line.measured):>12} {limit:>10} {ratio:>9}  {spread}".rstrip())


def _figure(value: float) -> str:
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:,.3g}"


def machine() -> None:
    """Say what this is measured on, and how busy it was with other things."""
    load, _, _ = os.getloadavg()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(f"{os.cpu_count()} cores, {python}, SQLite {sqlite3.sqlite_version}, load before {load:.2f}")


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Give a folder on the disk for as long as it is needed."""
    with tempfile.TemporaryDirectory(prefix="shelfwire-bench-") as folder:
        yield Path(folder)


def library(folder: Path, rows: int) -> Path:
    """Write a library of so many rows; half of them have an ISBN."""
    path = folder / f"library-{rows}.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        write_library(stream, rows, seed=rows, duplicates=0.01, broken=0.001)
    return path


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of `values` that so many percent of them do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))]


def spin(seconds: float) -> None:
    """Compute for so long without letting go of the interpreter's lock."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def shuffled(count: int, seed: int) -> list[int]:
    """The numbers below `count` in a repeatable disorder."""
    numbers = list(range(count))
    random.Random(seed).shuffle(numbers)  # noqa: S311 - repeatable, not secret
    return numbers


def best(values: Sequence[float]) -> float:
    """The smallest: what the work takes when nothing else gets in its way."""
    return min(values)


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


class Memory:
    """Samples the resident memory of a process and all its descendants, in a thread. Use it as a context manager.

    Args:
        pid: the process.

    Attributes:
        peak: bytes of all of them together, at most, in one sample.
        processes: how many there were, at most.
    """

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.peak = 0
        self.processes = 0

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.peak = max(self.peak, self._resident())

    def _resident(self) -> int:
        total = 0
        with contextlib.suppress(psutil.NoSuchProcess):
            family = [self._process, *self._process.children(recursive=True)]
            self.processes = max(self.processes, len(family))
            for process in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    total += process.memory_info().rss
        return total


def resident(pid: int) -> int:
    """Bytes of memory that a process has resident now."""
    return int(psutil.Process(pid).memory_info().rss)


def high_water(pid: int) -> int:
    """Bytes of memory that a process had resident at most since it began; the kernel keeps count."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used so far."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)
