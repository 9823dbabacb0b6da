"""The peer of `bench/followers.py`: bare uvicorn and websockets-sansio, one text broadcast to every socket at a rate.

No store, no jobs, no tokens, no state of any follower: what the transport alone takes. Begins at SIGUSR1.
"""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import uvicorn
import uvloop

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]

SETTINGS: Final = json.loads(sys.argv[1])
sockets: dict[int, Send] = {}


async def application(_: dict[str, Any], receive: Receive, send: Send) -> None:
    """Keep a socket until it leaves."""
    await receive()
    await send({"type": "websocket.accept"})
    sockets[id(send)] = send
    while (await receive())["type"] != "websocket.disconnect":
        pass
    del sockets[id(send)]


async def broadcast(rate: int, seconds: int, size: int) -> None:
    """Send everybody a text of `size` bytes, `rate` times a second; then an ending, and close."""
    due = time.perf_counter()
    for number in range(rate * seconds + 1):
        await asyncio.sleep(due - time.perf_counter())
        due += 1 / rate
        kind = "job_progress" if number < rate * seconds else "job_complete"
        head = f'{{"type":"{kind}","timestamp":{time.time_ns() // 1_000_000},"payload":"'
        text = head + "x" * (size - len(head) - 2) + '"}'
        for send in list(sockets.values()):
            await send({"type": "websocket.send", "text": text})
    for send in list(sockets.values()):
        await send({"type": "websocket.close", "code": 1000})


async def main() -> None:
    config = uvicorn.Config(
        application,
        port=SETTINGS["port"],
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    loop = asyncio.get_running_loop()
    go = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, go.set)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    print(f"http://127.0.0.1:{SETTINGS['port']}", flush=True)
    await go.wait()
    await broadcast(SETTINGS["rate"], SETTINGS["seconds"], SETTINGS["size"])
    await serving


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
