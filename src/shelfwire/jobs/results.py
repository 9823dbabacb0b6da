"""Results of jobs: their inline form in the terminal message, and how failed items are listed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import structlog

from shelfwire.jobs.outcomes import check_readable
from shelfwire.jobs.store import EncodeTerminal, Item
from shelfwire.protocol.feed import ending_message, inline_prefix
from shelfwire.protocol.job import JobState
from shelfwire.protocol.messages import MAX_INLINE_BYTES, encode
from shelfwire.protocol.state import results_path

Fold = Callable[[Sequence[Item]], Mapping[str, Any]]
"""Makes the inline results of a job, without `errors`, from the first items of its log, done and failed.

It is called within a transaction that other jobs share, so it must be pure and quick.
"""


_encoder = msgspec.json.Encoder()
log = structlog.get_logger(__name__)


def failure(item: Item) -> dict[str, Any]:
    """A failed item as results list it: index, title and error."""
    place = {"index": item.index, "title": item.title, "sourceIndex": item.source}
    known = {name: value for name, value in place.items() if value is not None}
    return {**known, **msgspec.json.decode(item.body, type=dict[str, Any])}


def listed(name: str) -> Fold:
    """The `Fold` that lists the results of the done items under `name`."""
    return lambda items: {name: [item.body for item in items if item.ok]}


def terminal_encoder(inline_limit: int, folds: Mapping[str, Fold], root: str = "") -> EncodeTerminal:
    """Make the function that encodes terminal messages.

    Args:
        inline_limit: bytes of item bodies to inline at most, the first items first.
        folds: by pipeline; the results of others are a list named `items`.
        root: what comes before the server's own paths in its URLs, as far as that is known for everybody.
    """

    def encode_terminal(state: JobState, head: Sequence[Item], results: msgspec.Raw | None = None) -> str:
        if results is not None:
            given = ending_message(state, results, results_url=results_path(state.id, root), truncated=False)
            return encode(given)
        folded, truncated = inline_results(folds.get(state.pipeline, _items), state, head, inline_limit)
        return encode(ending_message(state, folded, results_url=results_path(state.id, root), truncated=truncated))

    return encode_terminal


def inline_results(fold: Fold, state: JobState, head: Sequence[Item], limit: int) -> tuple[dict[str, Any], bool]:
    """Return the inline results of a job, and whether they are of its first items only.

    Args:
        fold: makes them.
        state: the row, once everything is recorded.
        head: the first items of its log, more than fit.
        limit: bytes of item bodies at most.
    """
    failures = [None if item.ok else msgspec.Raw(_encoder.encode(failure(item))) for item in head]
    sizes = [len(bytes(failed or item.body)) for failed, item in zip(failures, head, strict=True)]
    fitting = inline_prefix(sizes, limit)
    errors = [failed for failed in failures[:fitting] if failed is not None]
    return _results(fold, state, head[:fitting], errors), fitting < state.recorded


_items = listed("items")


def _results(fold: Fold, state: JobState, head: Sequence[Item], errors: list[msgspec.Raw]) -> dict[str, Any]:
    # An error in one pipeline's code must not break a commit that other jobs share.
    try:
        results = {**fold(head), "errors": errors}
        encoded = _encoder.encode(results)
        check_readable(encoded)
    except Exception as error:  # noqa: BLE001 - whatever it is, the plain list is still correct
        log.error("the results could not be folded; they are listed as they are", job=state.id, reason=repr(error))  # noqa: TRY400
    else:
        if len(encoded) <= MAX_INLINE_BYTES:
            return results
        log.error("the folded results are too large; they are listed as they are", job=state.id, bytes=len(encoded))
    return {**_items(head), "errors": errors}
