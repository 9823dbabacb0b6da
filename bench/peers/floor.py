"""The barest server: an asyncio protocol on uvloop that writes ready frames.

Arguments: port, rate, seconds, size, groups.
"""

import asyncio
import base64
import hashlib
import random
import re
import signal
import sys
import time
from typing import Final, cast

import uvloop

PORT, RATE, SECONDS, SIZE, GROUPS = map(int, sys.argv[1:])
GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CLOSE: Final = b"\x88\x0f\x03\xe8Job completed"
groups: list[list[asyncio.Transport]] = [[] for _ in range(GROUPS)]
count = 0


class Follower(asyncio.Protocol):
    """A connection that is accepted whatever it asks for, and closes when its client does."""

    __slots__ = ("_open", "_transport")

    def __init__(self) -> None:
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Take the handshake; whatever comes later is the client's close frame."""
        global count  # noqa: PLW0603 - a script
        if self._open:
            self._transport.close()
            return
        key = re.search(rb"(?i)sec-websocket-key: (\S+)", data)
        accept = base64.b64encode(hashlib.sha1(key[1] + GUID).digest()) if key else b""  # noqa: S324 - RFC 6455 has it
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % accept
        )
        self._open = True
        groups[count % GROUPS].append(self._transport)
        count += 1


def frame(kind: str) -> bytes:
    """Return a text frame with the time in it."""
    head = f'{{"type":"{kind}","timestamp":{time.time_ns() // 1_000_000},"payload":"'
    text = (head + "x" * (SIZE - len(head) - 2) + '"}').encode()
    return b"\x81\x7e" + len(text).to_bytes(2, "big") + text


async def tell(followers: list[asyncio.Transport], began: float) -> None:
    """Write a frame to each follower of a group at a rate, from a random moment on, and then the ending."""
    for number in range(RATE * SECONDS):
        await asyncio.sleep(began + number / RATE - time.perf_counter())
        data = frame("job_progress")
        for follower in followers:
            follower.write(data)
    data = frame("job_complete") + CLOSE
    for follower in followers:
        follower.write(data)


async def main() -> None:
    loop = asyncio.get_running_loop()
    go = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR2, go.set)
    server = await loop.create_server(Follower, "127.0.0.1", PORT, backlog=4096)
    print("ready", flush=True)
    await go.wait()
    now = time.perf_counter()
    await asyncio.gather(*(tell(group, now + random.random() / RATE) for group in groups))  # noqa: S311 - no secret
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
