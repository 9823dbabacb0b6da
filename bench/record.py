"""What `Job.record` costs per item beside the encoding of its outcome, on the real draft and committer."""

import argparse
import asyncio
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import rig

from shelfwire.clock import SystemClock
from shelfwire.jobs.committer import Committer
from shelfwire.jobs.draft import Draft
from shelfwire.jobs.job import Job
from shelfwire.jobs.results import terminal_encoder
from shelfwire.jobs.store import Claimed
from shelfwire.protocol import job as jobs
from shelfwire.protocol import worker_transitions
from shelfwire.protocol.job import Policy
from shelfwire.stores.sqlite.store import SqliteStore

BATCH: Final = 5_000
"""Outcomes between two commits at most, as `Job.pending` allows."""
BOOK: Final[dict[str, Any]] = {
    "title": "The Lantern of Tromsø (Five Rivers, #3)",
    "authors": ["Zofia Sjöberg"],
    "isbn13": "9780306406157",
    "isbn10": "0306406152",
    "publisher": "Larkspur",
    "binding": "Paperback",
    "yearPublished": 1998,
    "rating": 4,
    "dateRead": "2014-06-02",
    "row": 17,
}


def per_call(work: Callable[[range], None], batches: int) -> list[float]:
    """Time `work` on one batch of indices after another; microseconds a call, one figure for each batch."""
    figures = []
    for number in range(batches):
        indices = range(number * BATCH, (number + 1) * BATCH)
        began = time.perf_counter()
        work(indices)
        figures.append((time.perf_counter() - began) / BATCH * 1e6)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="20 batches of 5,000 calls instead of 100")
    batches = 20 if parser.parse_args().quick else 100
    rig.machine()

    policy, clock = Policy(), SystemClock()
    state = worker_transitions.claim(
        jobs.create("2c7b2a0c-5f2e-4a53-9df0-3ea2f5c1a3de", "csv_import", now=0), policy, now=0
    )
    store = SqliteStore(Path("never-opened"), encode_terminal=terminal_encoder(0, {}), inline_limit=0)
    draft = Draft(state)
    job = Job(store, Committer(store, lambda *_: None, policy, clock, 0.05), draft, Claimed(state=state))
    asyncio.run(job.start(total=batches * BATCH))
    encoder = msgspec.json.Encoder()

    def record(indices: range) -> None:
        for index in indices:
            job.record(index, BOOK, title="The Lantern of Tromsø", author="Zofia Sjöberg", isbn="9780306406157")
        draft.take(0.0)

    def encode(indices: range) -> None:
        _ = [encoder.encode((index, True, "The Lantern of Tromsø", BOOK)) for index in indices]

    def empty(indices: range) -> None:
        for _ in indices:
            pass

    gc.collect()
    whole = per_call(record, batches)
    encoding = per_call(encode, batches)
    loop = per_call(empty, batches)
    rig.report(
        f"Job.record, microseconds a call, {batches} batches of {BATCH:,}",
        [
            rig.Line("whole call, best batch", rig.best(whole), None, whole),
            rig.Line("the encoding in it, best batch", rig.best(encoding), None, encoding),
            rig.Line("the loop around it", rig.best(loop)),
            rig.Line("record without encoding, best batches", rig.best(whole) - rig.best(encoding), 2),
            rig.Line("record without encoding, median batches", rig.median(whole) - rig.median(encoding), 2),
        ],
    )


if __name__ == "__main__":
    main()
