"""Which pipelines and callers the next free slot is for."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from shelfwire.protocol.job import JobState


class Slots:
    """The slots of a worker, and who may take them.

    A running job is not interrupted for another one, and may take an hour. So some slots are worth more while they are
    free: whoever comes next would wait for the end of a job.

    - A pipeline without a running job may take any slot. For each such pipeline one is kept free of the others, up to
      half of all.
    - A pipeline may not have more slots than its limit. The operator's limit is taken at its word: up to it the
      pipeline takes slots that are kept for others, too.
    - The last slot that a pipeline may take is kept for callers who have none of its slots. This machine, the caller
      "", may take it as well.
    - Of the pipelines that may take a slot, the one with the fewest comes first, of equals the one that has taken none
      for longest.

    Args:
        total: the number of slots.
        defaults: the pipelines that there are, with the limit that each declares; None is no limit.
        limits: the operator's limits, by pipeline.
    """

    def __init__(
        self, total: int, defaults: Mapping[str, int | None], limits: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        self._total = total
        self._defaults = defaults
        self._limits = limits
        self._order = list(defaults)

    def open_to(self, running: Sequence[JobState]) -> dict[str, frozenset[str]]:
        """Return the pipelines that may take a slot, the first one first, with the callers who may not.

        Args:
            running: the jobs that have the other slots.
        """
        counts = dict.fromkeys(self._defaults, 0)
        for state in running:
            counts[state.pipeline] = counts.get(state.pipeline, 0) + 1
        free = self._total - len(running)
        idle = sum(not counts[name] for name in self._defaults)
        found: dict[str, frozenset[str]] = {}
        for pipeline in sorted(self._order, key=counts.__getitem__):
            mine = counts[pipeline]
            if self._may_take(pipeline, mine, free, idle):
                last = not self._may_take(pipeline, mine + 1, free - 1, idle - (not mine))
                holders = (state.caller for state in running if state.pipeline == pipeline and state.caller)
                found[pipeline] = frozenset(holders) if last else frozenset()
        return found

    def share_of(self, running: int) -> float:
        """Return the share of the slots that so many running jobs have."""
        return running / max(1, self._total)

    def taken(self, pipeline: str) -> None:
        """Note that a job of this pipeline has taken a slot."""
        self._order.remove(pipeline)
        self._order.append(pipeline)

    def _may_take(self, pipeline: str, mine: int, free: int, idle: int) -> bool:
        """Say whether a pipeline that has `mine` may take a free one, while `idle` pipelines have none."""
        if not mine:
            return free > 0
        if pipeline in self._limits:
            return free > 0 and mine < self._limits[pipeline]
        default = self._defaults[pipeline]
        return free > min(self._total // 2, idle) and (default is None or mine < default)
