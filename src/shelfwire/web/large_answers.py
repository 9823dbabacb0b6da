"""Bounds the memory of large answers: of those that are being made, and of those that wait for slow readers."""

import asyncio
from collections import Counter
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shelfwire.errors import Code, ShelfwireError

MADE_AT_ONCE: Final = 4
"""Answers that are read and encoded at a time: the store has two readers, and one thread encodes and compresses."""
MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
"""Of all answers that are being sent."""
MAX_WAITING_OF_JOB: Final = MAX_WAITING_BYTES // 4
"""Of those of one job: slow readers with its token leave room for others."""
PART_BYTES: Final = 64 * 1024


class LargeAnswers:
    """The large answers of a server.

    Attributes:
        making: held while an answer is made; others wait for it.
        waiting: the bytes of the answers that are being sent, by job.
    """

    def __init__(self) -> None:
        self.making = asyncio.Semaphore(MADE_AT_ONCE)
        self.waiting = Counter[str]()

    def in_parts(self, answer: Response, job_id: str) -> ASGIApp:
        """Return what sends a complete answer part by part, each once the reader has taken the one before.

        See `counted`.
        """
        body = memoryview(answer.body)

        async def sending(_scope: Scope, _receive: Receive, send: Send) -> None:
            await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
            for start in range(0, max(1, len(body)), PART_BYTES):
                end = start + PART_BYTES
                part = {"type": "http.response.body", "body": bytes(body[start:end]), "more_body": end < len(body)}
                await send(part)

        return self.counted(sending, len(body), job_id)

    def counted(self, answer: ASGIApp, size: int, job_id: str) -> ASGIApp:
        """Return an answer that counts as `size` bytes of a job while it is sent.

        It raises `E_OVERLOADED` before anything is sent where others that wait leave no room for it.
        """

        async def sending(scope: Scope, receive: Receive, send: Send) -> None:
            of_job, of_all = self.waiting[job_id], self.waiting.total()
            if (of_job and of_job + size > MAX_WAITING_OF_JOB) or (of_all and of_all + size > MAX_WAITING_BYTES):
                raise ShelfwireError(
                    Code.OVERLOADED,
                    "Too many results wait for slow readers. Ask again in a moment, or for fewer items",
                )
            self.waiting[job_id] += size
            try:
                await answer(scope, receive, send)
            finally:
                self.waiting[job_id] -= size
                if not self.waiting[job_id]:
                    del self.waiting[job_id]

        return sending
