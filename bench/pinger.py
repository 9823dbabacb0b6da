"""One follower that sends WebSocket PINGs on a schedule, in a process of its own, until its job ends.

`bench/import_rows.py` runs it: `python bench/pinger.py URL JOB TOKEN`. Prints the round trips in milliseconds as JSON.
Each is counted from the moment its PING was due, so that a stall shows in every PING that it delayed.
"""

import asyncio
import sys
import time
from typing import Final

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

EVERY_SECONDS: Final = 0.005


async def ping_until_it_ends(url: str, job_id: str, token: str) -> list[float]:
    """Return each PING's round trip in milliseconds."""
    address = f"ws{url.removeprefix('http')}/ws/progress?jobId={job_id}"
    trips: list[float] = []
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(address, additional_headers=headers, ping_interval=None, proxy=None) as socket:

        async def one(due: float) -> None:
            await (await socket.ping())
            trips.append((time.perf_counter() - due) * 1000)

        async def ping() -> None:
            due = time.perf_counter()
            async with asyncio.TaskGroup() as pings:
                while True:
                    pings.create_task(one(due))
                    due += EVERY_SECONDS
                    await asyncio.sleep(due - time.perf_counter())

        pinging = asyncio.create_task(ping())
        async for _ in socket:
            pass
        pinging.cancel()
        await asyncio.gather(pinging, return_exceptions=True)
    return trips


if __name__ == "__main__":
    try:
        print(msgspec.json.encode(asyncio.run(ping_until_it_ends(*sys.argv[1:]))).decode())
    except ConnectionClosed as error:
        sys.exit(str(error))
