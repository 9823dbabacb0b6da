"""Sends a request that creates a job until it is answered; its idempotency key makes the repetition harmless."""

import asyncio
from typing import Final

from shelfwire.client.errors import AWAY, GATEWAY, TOO_LARGE_ON_THE_WAY, ConnectionLostError, RefusedError, problem_in
from shelfwire.client.http import CutError, NetworkError, Request, Response
from shelfwire.client.subscription import ClientConfig
from shelfwire.errors import Code
from shelfwire.protocol.reconnect import Backoff

CREATE_RETRIES: Final = 3
"""How often a request that creates a job is sent again when its answer was lost."""
NOT_KNOWN: Final = (
    "The connection was lost, and it is not known whether the job was started. Look for it before you send it again."
)
MAYBE_TOO_LARGE: Final = "If it is large, split it and send the parts one by one."


async def send_until_answered(config: ClientConfig, request: Request, key: str) -> Response:
    """Send a request with an `Idempotency-Key`, again while its answer is lost, and return the answer.

    No file is sent again, and nothing through a gateway, before the server has answered something small. If a gateway
    then fails again, what it cannot pass on is the request itself.

    Args:
        config: the configuration of the client.
        request: the request, with its key among the headers.
        key: the key.

    Raises:
        OSError: a file to send cannot be read.
        ConnectionLostError: the answer stays lost, or the server was never reached.
        RefusedError: `E_FILE_TOO_LARGE`: a gateway does not pass the upload on.
    """
    backoff = Backoff(config.delays[:CREATE_RETRIES])
    lost = through_gateway = reached = False
    while True:
        try:
            answer = await config.http.request(request)
        except NetworkError as error:
            lost = lost or isinstance(error, CutError)
            reason = f"the server cannot be reached: {error}"
        else:
            if answer.status not in GATEWAY or problem_in(answer) is not None:
                return answer
            reason = f"something between this client and the server answered {answer.status}"
            if through_gateway:
                raise _not_passed_on(request, reason, key)
            lost = through_gateway = True
        if not lost:
            raise ConnectionLostError(reason, user_message=AWAY)
        failure = _lost(request, reason, key, reached=reached)
        await _pause(config, backoff, failure)
        if through_gateway or request.files:
            while not await _answers(config):
                await _pause(config, backoff, failure)
            reached = True


def _lost(request: Request, reason: str, key: str, *, reached: bool) -> ConnectionLostError:
    if request.files and reached:
        text = f"{reason}; in between it answered, so that the upload may exceed a limit on the way"
        return ConnectionLostError(text, user_message=f"{NOT_KNOWN} {MAYBE_TOO_LARGE}", idempotency_key=key)
    return ConnectionLostError(reason, user_message=NOT_KNOWN, idempotency_key=key)


async def _pause(config: ClientConfig, backoff: Backoff, failure: ConnectionLostError) -> None:
    delay = backoff.next(config.random_fraction())
    if delay is None:
        raise failure
    await config.clock.wait(asyncio.Event(), delay)


async def _answers(config: ClientConfig) -> bool:
    try:
        return (await config.http.request(Request(method="GET", path="/health/live"))).good
    except NetworkError:
        return False


def _not_passed_on(request: Request, reason: str, key: str) -> RefusedError:
    if not request.files:
        return _lost(request, reason, key, reached=True)
    message = f"{reason} to this upload, twice, while the server could be reached; the upload may exceed its limit"
    return RefusedError(
        Code.FILE_TOO_LARGE, message[:1].upper() + message[1:], TOO_LARGE_ON_THE_WAY, Code.FILE_TOO_LARGE.entry.status
    )
