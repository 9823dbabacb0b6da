"""HTTP for clients that may be slow or mean harm: the head of a request has bounded time as well as bounded size."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


class HttpProtocol(H11Protocol):
    """uvicorn's protocol over h11, whose keep-alive timer runs until a whole head is there.

    uvicorn's own starts with the first answer and stops at the next byte: a connection on which no head ever came to
    its end would stay for good, and their number is limited.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request as long as for another one."""
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)

    def data_received(self, data: bytes) -> None:
        """Take bytes without stopping the timer, which `handle_events` does once they make up a head."""
        self.conn.receive_data(data)
        self.handle_events()
