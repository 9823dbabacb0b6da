"""A worker in a process of its own, as a script of anybody's might be: claims jobs, reports items, comes back.

It knows nothing of shelfwire but the contract. What it is to do comes as JSON: see `Orders`.
"""

import contextlib
import http.client
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, Final
from urllib.parse import urlsplit

PIPELINE: Final = "pdf_report"
TEXT: Final = "lorem ipsum dolor sit amet " * 9
AGAIN: Final = frozenset({429, 500, 502, 503, 504})
RETRY_SECONDS: Final = 0.05


@dataclass(frozen=True)
class Orders:
    """What a worker is to do.

    Attributes:
        url: the server.
        name: what it calls itself.
        batch: items in a report.
        pause: seconds between two reports.
        lease: whole seconds.
    """

    url: str
    name: str = "worker"
    batch: int = 1000
    pause: float = 0
    lease: int = 10

    def words(self) -> list[str]:
        """What follows `python`."""
        return [__file__, json.dumps(asdict(self))]


class Connection:
    """One connection, made again whenever it breaks."""

    def __init__(self, url: str) -> None:
        self._host = urlsplit(url).netloc
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, path: str, body: bytes, token: str | None = None) -> tuple[int, bytes]:
        """POST something until it is answered, however often the server is killed meanwhile."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        while True:
            try:
                self._connection = self._connection or http.client.HTTPConnection(self._host, timeout=60)
                self._connection.request("POST", path, body, headers)
                response = self._connection.getresponse()
                answer = response.status, response.read()
            except (OSError, http.client.HTTPException):
                with contextlib.suppress(OSError, AttributeError):
                    self._connection.close()  # type: ignore[union-attr]
                self._connection = None
            else:
                if answer[0] not in AGAIN:
                    return answer
            time.sleep(RETRY_SECONDS)


def result(index: int) -> dict[str, Any]:
    """The result of an item, of some 300 bytes with what is around it."""
    return {"page": index, "text": TEXT}


def work(connection: Connection, orders: Orders, job: dict[str, Any], total: int) -> None:
    """Do what is left of a job."""
    done = {index for first, last in job["recorded"] for index in range(first, last + 1)}
    left = [index for index in range(total) if index not in done]
    path = f"/api/jobs/{job['state']['jobId']}/report"
    batches = [left[at : at + orders.batch] for at in range(0, len(left), orders.batch)] or [[]]
    for number, batch in enumerate(batches, 1):
        items = [{"index": one, "ok": True, "title": f"Page {one}", "result": result(one)} for one in batch]
        report = {"number": number, "totalCount": total, "items": items}
        if number == len(batches):
            report["end"] = {"complete": {"summary": "Done"}}
        status, _ = connection.ask(path, json.dumps(report).encode(), job["reportToken"])
        if status != 200:
            return
        time.sleep(orders.pause)


def main() -> None:
    """Work until killed. The number of items is the name of a job's file."""
    orders = Orders(**json.loads(sys.argv[1]))
    connection = Connection(orders.url)
    wanted = {"pipelines": [PIPELINE], "wait": 5, "leaseSeconds": orders.lease, "worker": orders.name}
    while True:
        status, answer = connection.ask("/api/work/claim", json.dumps(wanted).encode())
        if status == 200:
            job = json.loads(answer)["data"]
            work(connection, orders, job, int(job["state"]["metadata"]["fileName"]))


if __name__ == "__main__":
    main()
