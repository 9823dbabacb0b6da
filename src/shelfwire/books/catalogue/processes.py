"""Processes that parse chunks while this one writes, so that a build uses more than one core."""

import gc
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Final

import msgspec

from shelfwire.books.catalogue.rows import Rows
from shelfwire.books.catalogue.sources import Chunk

MOST_PROCESSES: Final = 4
"""More are of no use: the one that writes is the slowest then."""
AHEAD: Final = 2
"""Chunks that lie ready for each process, so that it need not wait for the next."""
_ROWS: Final = msgspec.msgpack.Decoder(Rows)


@contextmanager
def processes() -> Iterator[Executor | None]:
    """Processes for `understood`, one for each core but not too many; they end with this one, however it ends.

    There is none where the system has no semaphores to share, as in some sandboxes and without /dev/shm.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        pool = ProcessPoolExecutor(
            max_workers=min(MOST_PROCESSES, cores),
            # A copy of this process would have its threads' locks, but not its threads.
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_begin,
        )
    except (OSError, ImportError, NotImplementedError):
        yield None
        return
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def understood(chunks: Iterable[Chunk], pool: Executor | None) -> Iterator[tuple[Chunk, Rows]]:
    """The rows of chunks, in their order.

    Args:
        chunks: they are asked for as they are needed, and a few ahead.
        pool: where chunks are read; None for this process.

    Raises:
        concurrent.futures.BrokenExecutor: somebody has ended a process of the pool.
    """
    if pool is None:
        yield from ((chunk, chunk.read()) for chunk in chunks)
        return
    ahead: deque[tuple[Chunk, Future[bytes]]] = deque()
    for chunk in chunks:
        with _uninterrupted():
            ahead.append((chunk, pool.submit(_read, chunk)))
        if len(ahead) > AHEAD * MOST_PROCESSES:
            first, rows = ahead.popleft()
            yield first, _ROWS.decode(rows.result())
    while ahead:
        first, rows = ahead.popleft()
        yield first, _ROWS.decode(rows.result())


def _read(chunk: Chunk) -> bytes:
    """The rows of a chunk, in a form that takes a third of pickle's time to write and read."""
    return msgspec.msgpack.encode(chunk.read())


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits: processes that are begun meanwhile inherit that, and would die of it before they can ignore it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    gc.disable()  # what is read has no cycles
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the first process says what to do
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Killed, the parent could not tell; the pool's own pipe stays open in its other processes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
