"""A real receiver of webhooks, which answers as a test tells it."""

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from standardwebhooks import Webhook

SECRET = "whsec_" + "c2hlbGZ3aXJl" * 4
BUSY = "HTTP/1.1 503 Busy\r\nRetry-After: 100\r\nConnection: close\r\n\r\n"
OK = "HTTP/1.1 204 OK\r\nConnection: close\r\n\r\n"


@dataclass
class Received:
    """A request: its first line, its headers in lower case, its body."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def verified(self) -> dict[str, Any]:
        """The message, once the signature was found right."""
        return dict(Webhook(SECRET).verify(self.body, self.headers))


@dataclass
class Receiver:
    """Answers with what is in `answers`, then with `otherwise`; None never answers."""

    port: int = 0
    answers: list[str | None] = field(default_factory=list)
    otherwise: str | None = OK
    received: list[Received] = field(default_factory=list)
    news: asyncio.Queue[Received] = field(default_factory=asyncio.Queue)
    open: int = 0
    most_open: int = 0

    async def next(self) -> Received:
        """The next request, once it has come."""
        async with asyncio.timeout(30):
            return await self.news.get()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *rest = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in rest)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            self.received.append(Received(line, headers, body))
            self.news.put_nowait(self.received[-1])
            answer = self.answers.pop(0) if self.answers else self.otherwise
            if answer is None:
                await reader.read()  # until the caller hangs up
            else:
                writer.write(answer.encode())
                await writer.drain()
            self.open -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            """A connection without a request."""
        finally:
            writer.close()


@asynccontextmanager
async def receiver(
    *answers: str | None, tls: ssl.SSLContext | None = None, port: int = 0, otherwise: str | None = OK
) -> AsyncIterator[Receiver]:
    """Listen on loopback."""
    made = Receiver(answers=list(answers), otherwise=otherwise)
    server = await asyncio.start_server(made.serve, "127.0.0.1", port, ssl=tls)
    async with server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Make a certificate for a host; return what a server shows, and what a client believes."""
    key, cert = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(  # noqa: S603 - the test's own words
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", f"/CN={name}"),
            *("-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(cert, key)
    return server, ssl.create_default_context(cafile=cert)


def payload(received: Received) -> dict[str, Any]:
    """The payload of a message that was sent."""
    return dict(msgspec.json.decode(received.body)["payload"])
