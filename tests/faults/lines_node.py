"""A node of a cluster that runs the pipeline of `lines_worker`. After SIGUSR1 it stops within a transaction."""

import json
import os
import signal
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from shelfwire.stores.postgres.connections import Session
from tests.faults.lines_worker import Lines, Orders
from tests.servers import serve

PAUSE: Final = 0.01
"""Seconds from one item of a job to the next."""


def freeze_in_transaction(*_: object) -> None:
    """Stop this process when it has written the items of its next commit, whose rows are locked then."""
    copy = Session.copy

    async def copy_and_stop(self: Session, query: Any, types: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        await copy(self, query, types, rows)
        if Session.copy is not copy:
            Session.copy = copy  # type: ignore[method-assign]
            os.kill(os.getpid(), signal.SIGSTOP)

    Session.copy = copy_and_stop  # type: ignore[method-assign]


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, freeze_in_transaction)
    data = Path(json.loads(sys.argv[1])["data"])
    serve(Lines(Orders("", str(data / "diary"), PAUSE, 0)))
