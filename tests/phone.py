"""A phone that follows a job by the rules of Apple's URLSession, which other phones' and browsers' libraries share.

- Of a body that is no JSON the first 512 bytes are withheld until more has come, or its end.
- A connection that was idle for 30 s is dropped; a younger one is believed in.
- Of a refused upgrade only the status and the headers are seen, never the body.
- Answers may come compressed, and are kept on the disk unless they say `no-store`.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final, Self

import httpx2
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

WITHHELD_BYTES: Final = 512
BELIEVED_SECONDS: Final = 30
TERMINAL: Final = {"job_complete", "error"}
Job = dict[str, Any]


class RefusedUpgradeError(Exception):
    """An upgrade was refused.

    Attributes:
        status: the status.
        code: the code in the headers; None if there is none.
        challenge: the header `WWW-Authenticate`; None likewise.
    """

    def __init__(self, answer: Any) -> None:
        super().__init__(answer.status_code)
        self.status = answer.status_code
        self.code = answer.headers.get("X-Error-Code")
        self.challenge = answer.headers.get("WWW-Authenticate")


class Phone:
    """One phone. Use it as an asynchronous context manager.

    Args:
        url: the server's.

    Attributes:
        disk: the bodies that it keeps on its disk.
        unchanged: set once an answer has said that nothing has changed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        limits = httpx2.Limits(keepalive_expiry=BELIEVED_SECONDS)
        self.http = httpx2.AsyncClient(base_url=url, limits=limits, timeout=40)
        self.disk: list[str] = []
        self.unchanged = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    async def request(self, method: str, path: str, token: str = "", **options: Any) -> httpx2.Response:
        """Ask for something, and keep the answer as its headers allow."""
        headers = {**({"Authorization": f"Bearer {token}"} if token else {}), **options.pop("headers", {})}
        answer = await self.http.request(method, path, headers=headers, **options)
        if "no-store" not in answer.headers.get("cache-control", ""):
            self.disk.append(answer.text)
        return answer

    def follow(self, transport: str, job: Job) -> AsyncIterator[Job]:
        """Iterate over a job's messages, or states where it polls, up to the ending."""
        return {"websocket": self._by_socket, "sse": self._by_events, "polling": self._by_polling}[transport](job)

    async def _by_socket(self, job: Job) -> AsyncIterator[Job]:
        url = f"ws{self._url.removeprefix('http')}/ws/progress?jobId={job['jobId']}"
        headers = {"Authorization": f"Bearer {job['token']}"}
        try:
            async with connect(url, proxy=None, additional_headers=headers) as socket:
                while True:
                    message = json.loads(await socket.recv())
                    yield message
                    if message["type"] in TERMINAL:
                        return
        except InvalidStatus as refused:
            raise RefusedUpgradeError(refused.response) from None
        except ConnectionClosed:
            return

    async def _by_events(self, job: Job) -> AsyncIterator[Job]:
        headers = {"Authorization": f"Bearer {job['token']}", "Accept-Encoding": "gzip, deflate, br"}
        async with self.http.stream("GET", f"/api/jobs/{job['jobId']}/events", headers=headers) as answer:
            answer.raise_for_status()
            assert "content-encoding" not in answer.headers, "a compressed stream comes in lumps"
            text = b""
            async for seen in _withheld(answer.aiter_raw()):
                text += seen
                *events, text = text.split(b"\n\n")
                for event in events:
                    for line in event.splitlines():
                        if line.startswith(b"data: "):
                            yield json.loads(line.removeprefix(b"data: "))

    async def _by_polling(self, job: Job) -> AsyncIterator[Job]:
        seq, tag = 0, ""
        while True:
            answer = await self.request(
                "GET",
                f"/api/jobs/{job['jobId']}",
                job["token"],
                params={"after": seq, "wait": 0.2},
                headers={"If-None-Match": tag} if tag else {},
            )
            if answer.status_code == httpx2.codes.NOT_MODIFIED:
                self.unchanged.set()
                assert not answer.content
                continue
            state = answer.raise_for_status().json()["data"]
            seq, tag = state["seq"], answer.headers["etag"]
            ended = state["status"] in {"complete", "failed", "canceled"}
            yield {"type": "job_complete" if ended else "job_progress", "payload": state}
            if ended:
                return


async def _withheld(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    held = b""
    async for chunk in chunks:
        if len(held) <= WITHHELD_BYTES:
            held += chunk
            if len(held) > WITHHELD_BYTES:
                yield held
        else:
            yield chunk
    if len(held) <= WITHHELD_BYTES:
        yield held
