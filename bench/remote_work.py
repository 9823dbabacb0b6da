"""The same items recorded by a pipeline inside the server and reported by a worker outside, and what waiting costs.

Each job goes over HTTP into a real server process with its store on the disk. The worker is one process on one
connection that reports 1,000 items at a time, the next report after the answer to the last. Then 200 workers wait for a
job that does not come.
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

from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline

ITEMS: Final = 100_000
WAITING: Final = 200
WAIT_SECONDS: Final = 20.0
INSIDE: Final = "inside"


class Inside(Pipeline):
    """Records what the worker outside reports."""

    name = INSIDE

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
    seconds: dict[str, list[float]] = {INSIDE: [], PIPELINE: []}
    used: dict[str, list[float]] = {INSIDE: [], PIPELINE: []}
    async with Server(folder / "items", script=Path(__file__)) as server:
        with Process(*Orders(server.url).words(), env=os.environ) as worker:
            async with httpx2.AsyncClient(base_url=server.url, timeout=60) as http:
                for pipeline in seconds:
                    await one_job(http, pipeline, 1000)
                for _ in range(repeats):
                    for pipeline, figures in seconds.items():
                        before = busy(server.pid)
                        figures.append(await one_job(http, pipeline, items))
                        used[pipeline].append(busy(server.pid) - before)
            worker.kill()
    rates = {pipeline: [items / figure for figure in figures] for pipeline, figures in seconds.items()}
    outside, inside = max(rates[PIPELINE]), max(rates[INSIDE])
    return [
        rig.Line("reported by one worker, items a second", outside, 20_000, rates[PIPELINE], at_least=True),
        rig.Line("recorded inside, items a second", inside, None, rates[INSIDE]),
        rig.Line("the first as a share of the second", outside / inside, 0.5, at_least=True),
        rig.Line("processor time of the server, reported, s", min(used[PIPELINE]), None, used[PIPELINE]),
        rig.Line("processor time of the server, recorded inside, s", min(used[INSIDE]), None, used[INSIDE]),
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
        serve(Inside())  # as `Server` starts it
    else:
        main()
