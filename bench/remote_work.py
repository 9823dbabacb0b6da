"""The same items recorded by a pipeline inside the server, by the same pipeline elsewhere, and by a plain worker.

Each job goes over HTTP into a real server process with its store on the disk. The plain worker is one process on one
connection that reports 1,000 items at a time, the next report after the answer to the last; the pipeline elsewhere is
run by a `RemoteWorker` in a process of its own. Then 50 reporters make ten items durable, again and again, and 200
workers wait for a job that does not come.
"""

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import httpx2
import psutil
from bench import rig
from tests.processes import Process
from tests.remote_worker import PIPELINE, Orders, result
from tests.servers import Server, serve

from shelfwire.client import Client
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.remote import RemoteWorker

ITEMS: Final = 100_000
WAITING: Final = 200
WAIT_SECONDS: Final = 20.0
INSIDE: Final = "inside"
ELSEWHERE: Final = "elsewhere"
REPORTERS: Final = 50
TEN: Final = 10
ROUNDS: Final = 50
EVERY_SECONDS: Final = 0.2


class Recording(Pipeline):
    """Records what the plain worker reports."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def run(self, job: Job) -> str:
        """See `Pipeline.run`."""
        total = int(job.metadata.file_name or 0)
        await job.start(total)
        async for index, item in job.pending(range(total)):
            job.record(index, result(item), title=f"Page {item}")
        return "Done"


async def one_job(http: httpx2.AsyncClient, pipeline: str, items: int) -> float:
    """Seconds from the creation of a job to its end."""
    began = time.perf_counter()
    response = await http.post(f"/api/pipelines/{pipeline}/jobs", files={"file": (str(items), b"x")})
    job = response.raise_for_status().json()["data"]
    headers = {"Authorization": f"Bearer {job['token']}"}
    state: dict[str, Any] = {"seq": 0, "status": "queued"}
    while state["status"] not in {"complete", "failed", "canceled"}:
        await asyncio.sleep(0.05)
        query = {"after": state["seq"], "wait": 10}
        answer = await http.get(f"/api/jobs/{job['jobId']}", params=query, headers=headers)
        state = answer.raise_for_status().json()["data"]
    if state["successCount"] != items:
        raise SystemExit(f"{state['successCount']} of {items} items were recorded: {state}")
    return time.perf_counter() - began


def busy(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


async def share(pid: int, seconds: float) -> float:
    """The percentage of a core that a process uses meanwhile."""
    before, began = busy(pid), time.perf_counter()
    await asyncio.sleep(seconds)
    return 100 * (busy(pid) - before) / (time.perf_counter() - began)


async def measure_items(folder: Path, items: int, repeats: int) -> list[rig.Line]:
    """Measure both ways in turn, in one server."""
    seconds: dict[str, list[float]] = {INSIDE: [], ELSEWHERE: [], PIPELINE: []}
    used: dict[str, list[float]] = {INSIDE: [], ELSEWHERE: [], PIPELINE: []}
    async with Server(folder / "items", script=Path(__file__)) as server:
        with (
            Process(*Orders(server.url).words(), env=os.environ) as worker,
            Process(__file__, server.url, env=os.environ) as pipeline_worker,
        ):
            async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
                for pipeline in seconds:
                    await one_job(http, pipeline, 1000)
                for _ in range(repeats):
                    for pipeline, figures in seconds.items():
                        before = busy(server.pid)
                        figures.append(await one_job(http, pipeline, items))
                        used[pipeline].append(busy(server.pid) - before)
            worker.kill()
            pipeline_worker.kill()
    rates = {pipeline: [items / figure for figure in figures] for pipeline, figures in seconds.items()}
    elsewhere, plain, inside = max(rates[ELSEWHERE]), max(rates[PIPELINE]), max(rates[INSIDE])
    return [
        rig.Line("by a pipeline elsewhere, items a second", elsewhere, 20_000, rates[ELSEWHERE], at_least=True),
        rig.Line("by a plain worker, items a second", plain, 20_000, rates[PIPELINE], at_least=True),
        rig.Line("by a pipeline inside, items a second", inside, None, rates[INSIDE]),
        rig.Line("elsewhere as a share of inside", elsewhere / inside, 0.6, at_least=True),
        rig.Line("plain as a share of inside", plain / inside, 0.6, at_least=True),
        rig.Line("processor time of the server, elsewhere, s", min(used[ELSEWHERE]), None, used[ELSEWHERE]),
        rig.Line("processor time of the server, recorded inside, s", min(used[INSIDE]), None, used[INSIDE]),
    ]


async def report_tens(client: Client, began: float, number: int) -> list[float]:
    """Make ten items durable every 0.2 seconds, and return how long each took."""
    seconds = []
    async with client.report("ten_items", total=ROUNDS * TEN) as job:
        for turn in range(ROUNDS):
            due = began + (turn + number / REPORTERS) * EVERY_SECONDS
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            at = time.perf_counter()
            for index in range(turn * TEN, turn * TEN + TEN):
                await job.record(index, result(index))
            await job.flush()
            seconds.append(time.perf_counter() - at)
    return seconds


async def measure_tens(folder: Path) -> list[rig.Line]:
    """Measure how long a reporter waits until ten items are durable, beside 49 others."""
    async with Server(folder / "tens") as server, Client(server.url) as client:
        before, began = busy(server.pid), time.perf_counter() + 1
        work = (report_tens(client, began, number) for number in range(REPORTERS))
        seconds = sorted(1000 * one for each in await asyncio.gather(*work) for one in each)
        used = 100 * (busy(server.pid) - before) / (time.perf_counter() - began)
    return [
        rig.Line("until they are durable, p50, ms", seconds[len(seconds) // 2], 10),
        rig.Line("p99, ms", seconds[len(seconds) * 99 // 100], 40),
        rig.Line("the server, % of a core", used),
    ]


async def measure_waiting(folder: Path, waiting: int) -> list[rig.Line]:
    """Measure what it costs that workers wait for a job that does not come."""
    async with Server(folder / "waiting", fresh=True) as server:
        idle = await share(server.pid, WAIT_SECONDS / 2)
        before = rig.resident(server.pid)
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(base_url=server.url, timeout=60, limits=limits) as http:
            wanted = {"pipelines": [PIPELINE], "wait": 30}
            claims = [asyncio.create_task(http.post("/api/work/claim", json=wanted)) for _ in range(waiting)]
            await asyncio.sleep(3)
            memory = rig.resident(server.pid) - before
            used = await share(server.pid, WAIT_SECONDS)
            for claim in claims:
                claim.cancel()
            await asyncio.gather(*claims, return_exceptions=True)
    return [
        rig.Line("idle server, % of a core", idle),
        rig.Line(f"with {waiting} claims that wait, % of a core", used, 2),
        rig.Line("memory of each, KB", memory / waiting / 1000),
    ]


async def measure(folder: Path, items: int, repeats: int) -> None:
    """Measure, and print."""
    rig.report(f"{items:,} items of some 300 bytes", await measure_items(folder, items, repeats))
    rig.report(f"{REPORTERS} reporters of ten items each, every {EVERY_SECONDS} s", await measure_tens(folder))
    rig.report(f"{WAITING} workers that wait", await measure_waiting(folder, WAITING))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="each way once instead of three times")
    repeats = 1 if parser.parse_args().quick else 3
    rig.machine()
    with rig.scratch() as folder:
        asyncio.run(measure(folder, ITEMS, repeats))


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1].startswith("{"):
        serve(Recording(INSIDE))  # as `Server` starts it
    elif len(sys.argv) > 1 and sys.argv[1].startswith("http"):
        asyncio.run(RemoteWorker(sys.argv[1], pipelines=[Recording(ELSEWHERE)]).run())
    else:
        main()
