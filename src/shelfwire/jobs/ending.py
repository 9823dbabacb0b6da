"""How a job's terminal message is made of its final state and the first items of its log."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shelfwire.jobs.store import Conclude, Item
from shelfwire.protocol.feed import ending_message, inline_prefix
from shelfwire.protocol.job import JobState
from shelfwire.protocol.messages import encode

_encoder = msgspec.json.Encoder()


def results_path(job_id: str) -> str:
    """Where a job's results are, relative to the server."""
    return f"/api/jobs/{job_id}/results"


def failure(item: Item) -> dict[str, Any]:
    """A failed item as results list it: its place, its title and what went wrong."""
    place = {"index": item.index, "title": item.title, "sourceIndex": item.source}
    known = {name: value for name, value in place.items() if value is not None}
    return {**known, **msgspec.json.decode(item.body, type=dict[str, Any])}


def concluder(inline_limit: int, names: Mapping[str, str]) -> Conclude:
    """The `Conclude` of a server that inlines up to `inline_limit` bytes of results, the first items first.

    Args:
        inline_limit: see there.
        names: what the list of done items is called in the results of each pipeline; `items` where it says nothing.
    """

    def conclude(state: JobState, head: Sequence[Item]) -> str:
        entries = [(item.ok, item.body if item.ok else msgspec.Raw(_encoder.encode(failure(item)))) for item in head]
        fitting = inline_prefix([len(bytes(entry)) for _, entry in entries], inline_limit)
        done = [entry for ok, entry in entries[:fitting] if ok]
        errors = [entry for ok, entry in entries[:fitting] if not ok]
        message = ending_message(
            state,
            {names.get(state.pipeline, "items"): done, "errors": errors},
            results_url=results_path(state.id),
            truncated=fitting < state.recorded,
        )
        return encode(message)

    return conclude
