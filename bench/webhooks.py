"""How soon somebody is called when a job has ended, and how many calls a server makes in a second.

Jobs are made and ended over HTTP, in a real server process with its store on the disk. The receiver is in this process,
on loopback, and answers 204 at once; a server makes four calls to one host at a time. First jobs end one by one, then
a thousand at once.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx2
import psutil
from bench import rig
from tests.receiver import SECRET, Receiver, receiver
from tests.servers import Server

PIPELINE: Final = "pdf_report"
ENDING: Final = {"number": 1, "end": {"complete": {}}}
ONE_BY_ONE: Final = 100
AT_ONCE: Final = 1000
REQUESTS: Final = 50


async def make(http: httpx2.AsyncClient, them: Receiver, number: int) -> Sequence[dict[str, Any]]:
    """Make jobs that call the receiver when they have ended."""
    wanted = {"pipeline": PIPELINE, "leaseSeconds": 600, "callbackUrl": f"http://127.0.0.1:{them.port}/"}
    made = []
    for first in range(0, number, REQUESTS):
        asked = (http.post("/api/jobs", json=wanted) for _ in range(first, min(number, first + REQUESTS)))
        made += [answer.raise_for_status().json()["data"] for answer in await asyncio.gather(*asked)]
    return made


async def end(http: httpx2.AsyncClient, job: dict[str, Any]) -> None:
    """End a job, as its worker."""
    headers = {"Authorization": f"Bearer {job['reportToken']}"}
    (await http.post(f"/api/jobs/{job['jobId']}/report", json=ENDING, headers=headers)).raise_for_status()


async def measure(folder: Path, at_once: int) -> list[rig.Line]:
    """Measure both."""
    async with receiver() as them:
        settings = {"callback_hosts": [f"127.0.0.1:{them.port}"], "callback_secrets": [SECRET]}
        limits = httpx2.Limits(max_connections=REQUESTS)
        async with (
            Server(folder / "webhooks", settings) as server,
            httpx2.AsyncClient(base_url=server.url, timeout=60, limits=limits) as http,
        ):
            waits = []
            for job in await make(http, them, ONE_BY_ONE):
                began = time.perf_counter()
                await end(http, job)
                await them.next()
                waits.append(1000 * (time.perf_counter() - began))
            jobs, process = await make(http, them, at_once), psutil.Process(server.pid)
            before, began = sum(process.cpu_times()[:2]), time.perf_counter()
            ending = asyncio.gather(*(end(http, job) for job in jobs))
            ids = {(await them.next()).headers["webhook-id"] for _ in jobs}
            seconds, used = time.perf_counter() - began, sum(process.cpu_times()[:2]) - before
            await ending
            if len(ids) != len(jobs):
                raise SystemExit(f"{len(ids)} of {len(jobs)} endings were told")
    return [
        rig.Line("from the report that ends a job to the call, p50, ms", rig.percentile(waits, 50)),
        rig.Line("p99, ms", rig.percentile(waits, 99)),
        rig.Line(f"calls a second, {at_once:,} jobs that end at once", at_once / seconds, 100, at_least=True),
        rig.Line("processor time of the server for each ending and its call, ms", 1000 * used / at_once),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="200 jobs at once")
    at_once = 200 if parser.parse_args().quick else AT_ONCE
    rig.machine()
    with rig.scratch() as folder:
        rig.report("webhooks", asyncio.run(measure(folder, at_once)))


if __name__ == "__main__":
    main()
