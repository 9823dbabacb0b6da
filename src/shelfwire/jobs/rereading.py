"""Finds out what other nodes have committed: by hints at once, and every second by reading again."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final

import structlog

from shelfwire.clock import Clock
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.hub import Hub
from shelfwire.jobs.nodes import Gone, Hint, HintKind, News, Nodes, Position
from shelfwire.jobs.patience import RETRY_SECONDS
from shelfwire.jobs.store import Committed
from shelfwire.jobs.workers import Workers
from shelfwire.protocol.job import JobState, Transition
from shelfwire.protocol.worker_transitions import renumber

Request = Callable[[str, Transition, int], Awaitable[Committed | None]]
MAX_NAMED: Final = 10
"""Jobs that a line of the log names."""
_ABOUT_A_JOB: Final = frozenset({HintKind.ROW, HintKind.GONE, HintKind.TOKENS})

log = structlog.get_logger(__name__)


class Rereader:
    """Keeps the followers and the running jobs of this node up to date with the store.

    One reading at a time: hints that come meanwhile share the next one.

    Args:
        nodes: the other nodes.
        hub: the followers here.
        workers: the workers here.
        clock: the time.
        request: changes a row, as `JobStore.request`.
    """

    def __init__(self, nodes: Nodes, hub: Hub, workers: Workers, clock: Clock, request: Request) -> None:
        self._nodes = nodes
        self._request = request
        self._hub = hub
        self._workers = workers
        self._clock = clock
        self._wanted: set[str] = set()
        self._missed = False
        self._news = asyncio.Event()
        self._failing_since: float | None = None
        self._fell = False

    @property
    def failing(self) -> bool:
        """Whether the last reading failed."""
        return self._failing_since is not None

    async def listen(self) -> None:
        """Take hints until cancelled."""
        while True:
            self._hear(await self._nodes.receive())

    def _hear(self, hints: Iterable[Hint]) -> None:
        for hint in hints:
            if hint.kind is HintKind.QUEUE:
                self._workers.hear_queued()
            elif hint.kind is HintKind.CONTROL:
                self._workers.hear_control(hint.job_id)
            elif hint.kind is HintKind.MISSED:
                self._missed = True
                self._workers.hear_queued()
                self._news.set()
            elif hint.kind in _ABOUT_A_JOB and self._hub.is_followed(hint.job_id):
                self._wanted.add(hint.job_id)
                self._news.set()

    async def run(self) -> None:
        """Read again until cancelled."""
        due = self._clock.monotonic()
        while True:
            await self._clock.wait(self._news, max(0.0, due - self._clock.monotonic()))
            self._news.clear()
            whole = self._missed or self._clock.monotonic() >= due
            wanted, self._wanted, self._missed = self._wanted, set(), False
            if whole:
                due = self._clock.monotonic() + self._nodes.reread_seconds
            try:
                await self._reread(None if whole else wanted)
            except ShelfwireError as error:
                self._failed(error)
                due = self._clock.monotonic() + min(RETRY_SECONDS, self._nodes.reread_seconds)
            else:
                self._succeeded()

    def _failed(self, error: ShelfwireError) -> None:
        """Log the first of many failures: it is tried again several times a second."""
        if self._failing_since is None:
            self._failing_since = self._clock.monotonic()
            log.error("reading again failed, trying until it succeeds", code=error.code, reason=error.message)

    def _succeeded(self) -> None:
        if self._failing_since is not None:
            seconds = round(self._clock.monotonic() - self._failing_since, 1)
            self._failing_since = None
            log.info("reading again succeeds", seconds=seconds)

    async def _reread(self, only: set[str] | None) -> None:
        """Read again what there is of some jobs, or of all."""
        followed = self._hub.positions()
        known = dict.fromkeys((*followed, *self._workers.inside.positions()))
        positions = [one for one in known if only is None or one.job_id in only]
        tokens = {digest: job_id for digest, job_id in self._hub.digests().items() if only is None or job_id in only}
        if positions or tokens:
            news = await self._nodes.reread(positions, list(tokens))
            self._apply(news, tokens)
            # As it was before: what was committed since may have been shown already, and not yet read.
            shown = {(one.job_id, one.created_at): one.seq for one in followed}
            states = [(row.state, shown.get((row.state.id, row.state.created_at), 0)) for row in news.rows]
            await self._renumber([(state, seq) for state, seq in states if state.seq < seq])

    async def _renumber(self, fallen: Sequence[tuple[JobState, int]]) -> None:
        """Let the followers go on of jobs of which the store has lost what they were shown."""
        if fallen and not self._fell:
            log.critical(
                "the database has lost what it had confirmed; with synchronous replication it would not",
                jobs=[state.id for state, _ in fallen[:MAX_NAMED]],
            )
        self._fell = bool(fallen)
        for state, shown in fallen:
            if state.ended:
                # Its message is stored as it is; those who come back are sent it, whatever they have.
                self._hub.hear_gone(Gone(Position.of(state)))
                continue
            renumbered = await self._request(
                state.id,
                lambda row, _, of=state, shown=shown: renumber(row, of.created_at, shown),  # type: ignore[misc]
                self._clock.now(),
            )
            if renumbered is not None:
                self._hub.publish([renumbered])

    def _apply(self, news: News, tokens: Mapping[bytes, str]) -> None:
        self._hub.hear(news.rows)
        for gone in news.gone:
            self._hub.hear_gone(gone)
        # After that: with an erased job its tokens are gone, but its followers have the ending.
        for digest in news.revoked:
            self._hub.hear_revoked(tokens[digest], digest)
        self._workers.inside.hear([row.state for row in news.rows], [gone.position for gone in news.gone])
