"""Authorization of callers: API keys, the limit of new jobs for each, and the websites whose scripts may call."""

import hashlib
import hmac
from typing import Final, NamedTuple

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from shelfwire.addresses import ANY, DEFAULT_PORTS, authority_of, holder_of, is_loopback
from shelfwire.clock import Clock
from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.tokens import digest
from shelfwire.settings import Settings
from shelfwire.web.creation_limit import RateLimit
from shelfwire.web.responses import REQUEST_ID, RETRY_AFTER, X_ERROR_CODE

API_KEY: Final = "X-API-Key"
MAX_IDENTITY_CHARS: Final = 64
DIGEST_CHARS: Final = 32
"""Of the digest that is stored with a job: 128 bits."""
PREFLIGHT_SECONDS: Final = 600
_OK: Final = 200
_NO_CONTENT: Final = 204
_OF_BODY: Final = frozenset({"content-length", "content-type"})


class Caller(NamedTuple):
    """The caller that creates a job.

    Attributes:
        identity: the key of its rate limit: the digest of the API key, else the network address.
        key: the digest of the API key, in hexadecimal; None where the server has no keys. An address identifies a
            caller well enough for a limit and for nothing else: it may be that of a whole office.
    """

    identity: str
    key: str | None

    @property
    def digest(self) -> str:
        """Whose turns a job takes: a digest of the identity; see `JobState.caller`."""
        return "" if is_loopback(self.identity) else hashlib.sha256(self.identity.encode()).hexdigest()[:DIGEST_CHARS]


class Access:
    """The operator's rules for callers.

    Args:
        settings: the API keys, the limit and the origins.
        clock: the time.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._digests = [digest(key.reveal()) for key in settings.api_keys]
        self._origins = frozenset(settings.origins)
        self._limit = settings.create_limit
        self._rate = RateLimit(settings.create_limit, clock)

    def caller(self, request: Request) -> Caller:
        """Return the caller.

        Raises:
            ShelfwireError: `E_UNAUTHORIZED`: the server has API keys and the request shows none of them.
        """
        if not self._digests:
            return Caller(_address(request), None)
        shown = digest(request.headers.get(API_KEY, ""))
        # Every key is compared, so that the time reveals nothing.
        matches = [hmac.compare_digest(known, shown) for known in self._digests]
        if True not in matches:
            raise ShelfwireError(
                Code.UNAUTHORIZED,
                f"The header {API_KEY} is missing or holds no API key of this server",
                user_message="This server takes new jobs only with an API key. Ask its operator for one.",
                details={"header": API_KEY},
            )
        return Caller(shown.hex(), shown.hex())

    def admit_creation(self, request: Request) -> Caller:
        """Admit the caller of a request that creates a job. Call it before the request's body is read.

        Raises:
            ShelfwireError: `E_UNAUTHORIZED`, `E_FORBIDDEN` (a website that is not allowed) or `E_RATE_LIMITED`.
        """
        self.check_origin(request.headers.get("origin"), request.headers.get("host"))
        caller = self.caller(request)
        self._count(caller)
        return caller

    def admit_retry(self, request: Request) -> Caller:
        """Admit the owner of a job, who creates another one from it: the job's token serves as the API key.

        Raises:
            ShelfwireError: `E_RATE_LIMITED`.
        """
        caller = Caller(_address(request), None)
        self._count(caller)
        return caller

    def check_origin(self, origin: str | None, host: str | None) -> None:
        """Refuse the script of a website that is not allowed. Programs that are no browsers send no origin and pass.

        CORS keeps such a script from reading answers, but neither from sending a form nor from opening a WebSocket.

        Args:
            origin: the header `Origin`.
            host: the header `Host`.

        Raises:
            ShelfwireError: `E_FORBIDDEN`.
        """
        if origin is None or ANY in self._origins or origin in self._origins or _same_host(origin, host):
            return
        raise ShelfwireError(
            Code.FORBIDDEN,
            f"Scripts from {origin[:200]} are not allowed here. Add this origin to the setting 'origins'",
            user_message="This website may not use the service. Ask the operator of the service to allow it.",
        )

    def _count(self, caller: Caller) -> None:
        wait = self._rate.admit(caller.identity)
        if wait:
            raise ShelfwireError(
                Code.RATE_LIMITED,
                f"This caller has created {self._limit} jobs within a minute, which is the limit (create_limit)",
                user_message=f"That was a lot at once. Please try again in {wait} s.",
                details={"limit": self._limit, RETRY_AFTER: wait},
            )

    def cors(self, app: ASGIApp) -> ASGIApp:
        """Return an application that answers the browsers of allowed websites; `app` itself where there are none."""
        if not self._origins:
            return app
        return _Cors(
            app,
            allow_origins=sorted(self._origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=[ANY],  # libraries add their own, such as Cache-Control, X-Requested-With or traceparent
            expose_headers=[
                *("Location", "Retry-After", "ETag", REQUEST_ID, "Link", "WWW-Authenticate", X_ERROR_CODE),
            ],
            max_age=PREFLIGHT_SECONDS,
        )


class _Cors(CORSMiddleware):
    """Starlette's, which answers a preflight without a body."""

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code != _OK:
            return answer
        return Response(status_code=_NO_CONTENT, headers={k: v for k, v in answer.headers.items() if k not in _OF_BODY})


def _address(request: Request) -> str:
    host = request.client.host if request.client else ""
    # The application around this one may take it from a header.
    return holder_of(host) or host[:MAX_IDENTITY_CHARS]


def _same_host(origin: str, host: str | None) -> bool:
    scheme, _, rest = origin.partition("://")
    theirs, ours = authority_of(rest), authority_of(host or "")
    if theirs is None or ours is None:
        return False
    default = DEFAULT_PORTS.get(scheme.lower())
    return (theirs.name, theirs.port or default) == (ours.name, ours.port or default)
