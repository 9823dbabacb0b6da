"""The table of cases that every client's rules of following are tried with, as the Python ones decide them.

Run as a module it writes `follow_cases.json`; `make client` does so. The tests of other clients read that file.
"""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from shelfwire.protocol.messages import JobComplete, JobError, JobProgress, JobStarted, Message, Payload, encode
from shelfwire.protocol.reconnect import (
    DELAYS,
    Backoff,
    Deduplicator,
    FailureKind,
    Transport,
    TransportFallback,
    refresh_in,
)
from shelfwire.protocol.state import State, messages_of

PATH: Final = Path(__file__).with_suffix(".json")
EVENTS: Final = (*FailureKind, "works", "start_over")
PAYLOADS: Final[dict[str, Payload]] = {
    "job_started": JobStarted(total_count=3),
    "job_progress": JobProgress(processed_count=1),
    "job_complete": JobComplete(success_count=3, failure_count=0, duration=0, results=[]),
    "error": JobError(code="E_INTERNAL", message="", user_message="", retryable=True),
}
ARRIVALS: Final = (
    [("job_started", 2), ("job_progress", 2), ("job_progress", 3), ("job_complete", 4), ("job_progress", 5)],
    [("job_progress", 5), ("job_progress", 4), ("job_progress", 5), ("job_started", 6), ("job_started", 7)],
    [("job_progress", 9), ("error", 3), ("error", 3), ("job_complete", 10)],
    [("job_started", None), ("job_progress", None), ("job_progress", 1), ("job_complete", None)],
    [("job_started", 3), ("job_started", 2), ("job_progress", 2), ("job_progress", 3)],
)
STATES: Final[Sequence[dict[str, Any]]] = (
    {"status": "queued", "userMessage": "Waiting to start…"},
    {"status": "queued"},
    {"status": "running", "startTime": 900, "metadata": {"fileName": "books.csv", "fileSize": 12}},
    {
        "status": "running",
        "startTime": 900,
        "processedCount": 2,
        "successCount": 1,
        "failureCount": 1,
        "currentTitle": "Emma",
        "currentItem": {"isbn": "9780141439587", "author": "Jane Austen"},
        "etaSeconds": 4,
    },
    {"status": "running", "userMessage": "Looking closely…", "processedCount": 1, "successCount": 1},
    {
        "status": "complete",
        "startTime": 900,
        "processedCount": 3,
        "successCount": 3,
        "duration": 5,
        "results": {"books": []},
    },
    {
        "status": "complete",
        "startTime": 900,
        "processedCount": 3,
        "successCount": 3,
        "summary": "Imported 3 books",
        "results": [],
        "resultsUrl": "/api/jobs/j/results",
        "truncated": True,
    },
    {"status": "complete", "truncated": True, "results": []},
    {"status": "complete"},
    {
        "status": "canceled",
        "startTime": 900,
        "processedCount": 1,
        "error": {"code": "E_JOB_CANCELED", "message": "m", "userMessage": "u", "retryable": True, "details": {"a": 1}},
    },
    {"status": "failed", "startTime": 900},
    {"status": "a status of a later version", "startTime": 900, "processedCount": 1},
)


def cases() -> dict[str, Any]:
    """The table: what is given, and what follows from it."""
    return {
        "backoff": [_backoff(delays, fraction) for delays in (DELAYS, (1.0,)) for fraction in (0.0, 0.5, 0.75)],
        "fallback": [_fallback(allowed, events) for allowed, events in _histories()],
        "deduplicator": [_deduplicator(arrivals) for arrivals in ARRIVALS],
        "refresh": [[left, refresh_in(1_000_000 + left, 1_000_000)] for left in (3_600_000, 120_000, 60_000, 7, 1, -5)],
        "messages": [_messages(state, after) for state in STATES for after in (0, 7)],
    }


def _histories() -> list[tuple[list[Transport], list[str]]]:
    every = list(Transport)
    short = [list(events) for length in (1, 2, 3) for events in itertools.product(EVENTS, repeat=length)]
    long = [
        ["blocked"] * 7,
        ["mute"] * 9,
        ["blocked", "works", "blocked", "lost", "blocked", "blocked", "mute", "mute"],
    ]
    return [(every, events) for events in (*short, *long)] + [(every[1:], events) for events in long]


def _backoff(delays: tuple[float, ...], fraction: float) -> dict[str, Any]:
    backoff = Backoff(delays)
    expected = [backoff.next(fraction) for _ in range(len(delays) + 1)]
    backoff.connected()
    return {"delays": delays, "fraction": fraction, "expected": expected, "connected": backoff.next(fraction)}


def _fallback(allowed: list[Transport], events: list[str]) -> dict[str, Any]:
    fallback = TransportFallback(allowed)
    expected = []
    for event in events:
        at_once = None
        if event == "works":
            fallback.works()
        elif event == "start_over":
            fallback.start_over()
        else:
            at_once = fallback.failed(FailureKind(event))
        expected.append([at_once, fallback.current])
    return {"allowed": allowed, "events": events, "expected": expected}


def _deduplicator(arrivals: Sequence[tuple[str, int | None]]) -> dict[str, Any]:
    shown = Deduplicator()
    expected = []
    for kind, seq in arrivals:
        message = Message(job_id="j", pipeline="p", timestamp=0, payload=PAYLOADS[kind], seq=seq)
        expected.append([shown.accept(message), shown.seq, shown.after, shown.over])
    return {"arrivals": arrivals, "expected": expected}


def _messages(members: dict[str, Any], after: int) -> dict[str, Any]:
    counts = dict.fromkeys(("processedCount", "successCount", "failureCount"), 0)
    links = dict.fromkeys(["self", "results", "events", "progress", "cancel", "pause", "resume", "retry", "token"], "/")
    known = {"jobId": "j", "pipeline": "csv_import", "totalCount": 3, "lastUpdateTime": 1000, "seq": 7, "attempt": 1}
    state = {**known, **counts, "expiresAt": 9000, "links": links, **members}
    read = msgspec.json.decode(msgspec.json.encode(state), type=State)
    return {"state": state, "after": after, "expected": [json.loads(encode(m)) for m in messages_of(read, after)]}


def text() -> str:
    """The table as JSON, a line for each case."""
    parts = (
        f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in group) + "\n]"
        for name, group in cases().items()
    )
    return "{" + ",\n".join(parts) + "}\n"


if __name__ == "__main__":
    PATH.write_text(text(), encoding="utf-8")
