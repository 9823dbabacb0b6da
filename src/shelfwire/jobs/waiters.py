"""Remote workers that wait for a job."""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class Waiters:
    """Those who wait, by pipeline; for each job one of them looks."""

    def __init__(self) -> None:
        self._queues: dict[str, deque[asyncio.Event]] = {}

    def __len__(self) -> int:
        return len({id(event) for queue in self._queues.values() for event in queue})

    @property
    def pipelines(self) -> Sequence[str]:
        """The pipelines that somebody waits for a job of."""
        return tuple(self._queues)

    @contextmanager
    def waiting(self, pipelines: Sequence[str]) -> Iterator[asyncio.Event]:
        """Wait for a job of some pipelines; the event is set when there may be one, for whoever has waited longest.

        Look for a job only after you have entered, or one that comes meanwhile is missed. If you do not look when the
        event is set, wake another.
        """
        event = asyncio.Event()
        for pipeline in pipelines:
            self._queues.setdefault(pipeline, deque()).append(event)
        try:
            yield event
        finally:
            for pipeline in pipelines:
                queue = self._queues[pipeline]
                queue.remove(event)
                if not queue:
                    del self._queues[pipeline]

    def wake(self, pipeline: str) -> None:
        """Wake one that waits for a job of this pipeline, and has not been woken."""
        for event in self._queues.get(pipeline, ()):
            if not event.is_set():
                event.set()
                return

    def wake_all(self) -> None:
        """Wake everybody."""
        for queue in self._queues.values():
            for event in queue:
                event.set()
