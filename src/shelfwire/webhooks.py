"""Sends webhooks: signed as Standard Webhooks has it, to the address that was checked and no other.

https://www.standardwebhooks.com
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Self

import httpx2
from standardwebhooks import Webhook

from shelfwire.addresses import Address
from shelfwire.errors import ShelfwireError
from shelfwire.jobs.callbacks import Callback, CallbackRules
from shelfwire.jobs.outbox import Delivery, Outcome

TRY_SECONDS: Final = 10.0
"""How long one try may take, looking up the name included."""
USER_AGENT: Final = "shelfwire"
_GONE: Final = 410
_SECONDS: Final = re.compile(r"[0-9]{1,9}")


async def resolve(host: str, port: int) -> Sequence[str]:
    """Look up the addresses of a host, as `jobs.callbacks.Resolve` has it."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label of a name is too long
        raise OSError(str(error)) from None
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class WebhookSender:
    """Makes single tries. Use it as an asynchronous context manager.

    Args:
        rules: which addresses may be called.
        secrets: what to sign with, `whsec_` and base64; each makes a signature of its own, so that they can be rotated.
        now: returns milliseconds since the epoch.
        tls: how to check certificates; as the machine does unless given.
    """

    def __init__(
        self,
        rules: CallbackRules,
        secrets: Sequence[str],
        now: Callable[[], int],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._rules = rules
        self._signers = [Webhook(secret) for secret in secrets]
        self._now = now
        self._tls = tls

    async def __aenter__(self) -> Self:
        """Open the client, unless nothing is to be sent: reading the certificates takes a while."""
        if not self._signers:
            return self
        self._http = httpx2.AsyncClient(
            verify=self._tls or httpx2.create_ssl_context(),
            # A connection belongs to the name that its certificate was checked for, and the client knows addresses.
            limits=httpx2.Limits(max_keepalive_connections=0),
            timeout=TRY_SECONDS,
            trust_env=False,
            follow_redirects=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the client."""
        if self._signers:
            await self._http.aclose()

    async def send(self, delivery: Delivery) -> Outcome:
        """Make one try. What goes wrong is in the outcome."""
        if not self._signers:
            return Outcome(error="The setting callback_secrets is empty, and nothing is sent unsigned")
        try:
            async with asyncio.timeout(TRY_SECONDS):
                callback = self._rules.read(delivery.url or "")
                return await self._post(callback, await self._rules.addresses(callback), delivery)
        except ShelfwireError as error:
            return Outcome(error=error.message)
        except TimeoutError:
            return Outcome(error=f"No answer within {TRY_SECONDS:g} s")
        except (httpx2.HTTPError, OSError, ssl.SSLError) as error:
            return Outcome(error=f"{type(error).__name__}: {error}")

    async def _post(self, callback: Callback, addresses: Sequence[Address], delivery: Delivery) -> Outcome:
        *others, last = addresses
        for address in others:
            try:
                return await self._post_to(address, callback, delivery)
            except httpx2.ConnectError:
                """Nobody is there; there is another address."""
        return await self._post_to(last, callback, delivery)

    async def _post_to(self, address: Address, callback: Callback, delivery: Delivery) -> Outcome:
        host = f"[{address}]" if ":" in str(address) else str(address)
        url = f"{callback.scheme}://{host}:{callback.port}{callback.target}"
        headers = {
            "Host": callback.authority,
            "Content-Type": "application/json",
            "User-Agent": USER_AGENT,
            **self._signed(delivery),
        }
        async with self._http.stream(
            "POST", url, content=delivery.body.encode(), headers=headers, extensions={"sni_hostname": callback.host}
        ) as answer:
            return _outcome(answer)

    def _signed(self, delivery: Delivery) -> dict[str, str]:
        # The library takes a time without a zone, or of another one, for UTC as it stands.
        seconds = self._now() // 1000
        at = datetime.fromtimestamp(seconds, UTC)
        signatures = [signer.sign(delivery.id, at, delivery.body) for signer in self._signers]
        return {
            "webhook-id": delivery.id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": " ".join(signatures),
        }


def _outcome(answer: httpx2.Response) -> Outcome:
    if answer.is_success:
        return Outcome()
    wait = answer.headers.get("retry-after", "")
    return Outcome(
        error=f"HTTP {answer.status_code}",
        final=answer.status_code == _GONE,
        retry_after=int(wait) * 1000 if _SECONDS.fullmatch(wait) else 0,
    )
