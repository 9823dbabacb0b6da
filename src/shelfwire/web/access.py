"""Authorization of callers: API keys, the limit of new jobs for each, and the websites whose scripts may call."""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shelfwire.addresses import ANY, DEFAULT_PORTS, authority_of, holder_of, is_loopback
from shelfwire.clock import Clock
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.nodes import Nodes
from shelfwire.protocol.tokens import digest
from shelfwire.settings import Settings
from shelfwire.web.creation_limit import CreationLimit, RateLimit
from shelfwire.web.key_codes import Issued, KeyCodes
from shelfwire.web.keys import KeyFile, Role
from shelfwire.web.responses import REQUEST_ID, RETRY_AFTER, X_ERROR_CODE
from shelfwire.web.root_path import path_of

API_KEY: Final = "X-API-Key"
THIS_MACHINE: Final = "(this machine)"
"""The name of its own key; no key in the file can have it."""
MAX_NOTED: Final = 10
"""Refused calls a minute of operators' routes that are noted in the audit."""
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
        name: of a key with a role.
        role: what it may do.
        pipelines: the only ones that its key is for; None for all.
        create_limit: the limit of its key's own; None for the server's.
        is_local: whether it is on this machine, which alone can reach the server, and that has no keys.
    """

    identity: str
    key: str | None
    name: str | None = None
    role: Role = Role.CREATE
    pipelines: Sequence[str] | None = None
    create_limit: int | None = None
    is_local: bool = False

    def check_pipeline(self, pipeline: str) -> None:
        """Check that the caller's key is for this pipeline.

        Raises:
            ShelfwireError: `E_FORBIDDEN`.
        """
        if self.pipelines is not None and pipeline not in self.pipelines:
            raise ShelfwireError(
                Code.FORBIDDEN,
                f"The API key is for the pipelines {', '.join(self.pipelines)} alone",
                user_message="This API key is not for jobs of this kind. Ask the server's operator for another one.",
            )

    @property
    def digest(self) -> str:
        """Whose turns a job takes: a digest of the identity; see `JobState.caller`."""
        return "" if is_loopback(self.identity) else hashlib.sha256(self.identity.encode()).hexdigest()[:DIGEST_CHARS]


class Access:
    """The operator's rules for callers.

    Args:
        settings: the API keys, the limit and the origins.
        clock: the time.
        random_bytes: returns as many random bytes from a cryptographic source.
        nodes: returns the nodes that the limit of new jobs is shared with; None where there are none.

    Attributes:
        refusals: limits the refused calls of operators' routes that are noted.

    Raises:
        SettingsError: the file with API keys cannot be used.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        nodes: Callable[[], Nodes | None] = lambda: None,
    ) -> None:
        self._on_loopback = is_loopback(settings.host)
        self._file = KeyFile(settings.keys_path, clock)
        self._digests = [digest(key.reveal()) for key in settings.api_keys]
        self._origins = frozenset(settings.origins)
        self._limit = settings.create_limit
        self._creations = CreationLimit(settings.create_limit, clock, nodes)
        self._local: bytes | None = None
        self._codes = KeyCodes(clock, random_bytes)
        self.refusals = RateLimit(MAX_NOTED, clock)
        self._rules = self._cors(_nowhere)

    def add_local_key(self, key: str) -> None:
        """Take a key for the role `admin` from programs of this machine that reach the server without a proxy."""
        self._local = digest(key)

    def caller(self, request: Request, role: Role = Role.CREATE) -> Caller:
        """Return the caller, who may do what a role allows.

        Without any key, everybody may create jobs, and work on them where only this machine can reach the server.

        Raises:
            ShelfwireError: `E_UNAUTHORIZED`: the request shows no valid API key; `E_FORBIDDEN`: that of a lesser role.
        """
        self._file.refresh()
        if not self._digests and not self._file.exists:
            local = self._on_loopback and _is_local(request)
            if role is Role.CREATE or (role is Role.WORK and local):
                return Caller(_address(request), None, role=role, is_local=local)
            raise _without_key(role)
        return self._with_role(request, role)

    def operator(self, request: Request, role: Role) -> Caller:
        """Return the caller of a route for operators.

        Args:
            request: the request.
            role: `Role.READ` or `Role.ADMIN`.

        Raises:
            ShelfwireError: `E_NOT_FOUND`: no key opens such a route to this caller, who is not to know of it; else
                `E_UNAUTHORIZED` or `E_FORBIDDEN`, as `caller`.
        """
        self.check_origin(request.headers.get("origin"), request.headers.get("host"))
        self.check_operable(request)
        return self._with_role(request, role)

    def check_operable(self, request: Request) -> None:
        """Check that some key opens the routes for operators to this caller, who else is not to know of them.

        Raises:
            ShelfwireError: `E_NOT_FOUND`.
        """
        self._file.refresh()
        if not self._file.has(Role.READ) and (self._local is None or not _is_local(request)):
            raise ShelfwireError(Code.NOT_FOUND, f"No such route: {path_of(request.scope)}")

    def check_page(self, request: Request) -> None:
        """Check that the operator's page may be opened by a code: from this machine, and by no script of a website.

        Raises:
            ShelfwireError: `E_NOT_FOUND`, `E_FORBIDDEN`.
        """
        self.check_origin(request.headers.get("origin"), request.headers.get("host"))
        self.check_operable(request)
        if not _is_local(request):
            raise ShelfwireError(
                Code.FORBIDDEN,
                "A code opens the operator's page on the server's own machine alone. Use an API key",
                user_message="This works on the server's own machine alone. Enter an API key.",
            )

    def new_code(self, request: Request) -> Issued:
        """Make a code for the holder of the key that a request shows, which has been checked.

        Raises:
            ShelfwireError: as `check_page`.
        """
        self.check_page(request)
        shown = digest(request.headers.get(API_KEY, ""))
        return self._codes.issue(self._codes.stands_for(shown) or shown)

    def use_code(self, request: Request, code: str) -> tuple[Issued, Caller]:
        """Change a code into a key; return it, and whom it stands for.

        Raises:
            ShelfwireError: `E_UNAUTHORIZED`: the code is none, was used or is too old, or its key was revoked.
        """
        key = self._codes.redeem(code)
        caller = None if key is None else self._with_key(key.secret, request)
        if key is None or caller is None:
            raise ShelfwireError(
                Code.UNAUTHORIZED,
                "The code has been used, or is older than a minute. Make a new one with: shelfwire admin open",
                user_message="This link has been used, or is too old. Make a new one.",
            )
        return key, caller

    def known(self, request: Request) -> Caller | None:
        """Return the caller whose API key a request shows; None if it is none of ours."""
        self._file.refresh()
        return self._with_key(request.headers.get(API_KEY, ""), request)

    def is_operator(self, request: Request) -> bool:
        """Whether the API key that a request shows is an operator's at this moment: it may have been revoked since."""
        caller = self.known(request)
        return caller is not None and caller.role.includes(Role.READ)

    def operator_of_job(self, request: Request, role: Role) -> Caller | None:
        """Return the operator who makes a request about a job without its token; None for anybody else.

        Raises:
            ShelfwireError: `E_FORBIDDEN`: the operator's key is for reading alone, or a website sent the request.
        """
        caller = self.known(request)
        if caller is None or not caller.role.includes(Role.READ):
            return None
        self.check_origin(request.headers.get("origin"), request.headers.get("host"))
        return self._with_role(request, role)

    def _with_role(self, request: Request, role: Role) -> Caller:
        caller = self._with_key(request.headers.get(API_KEY, ""), request)
        if caller is None:
            raise _without_key(role)
        if not caller.role.includes(role):
            raise ShelfwireError(
                Code.FORBIDDEN,
                f"The API key has the role {caller.role}, and this needs {role}",
                user_message="This API key does not allow that. Ask the server's operator for another one.",
                details={"role": str(role)},
            )
        return caller

    def _with_key(self, key: str, request: Request) -> Caller | None:
        shown = digest(key)
        if _is_local(request):
            shown = self._codes.stands_for(shown) or shown
        if self._local is not None and hmac.compare_digest(self._local, shown) and _is_local(request):
            return Caller(shown.hex(), shown.hex(), THIS_MACHINE, Role.ADMIN)
        # Every key is compared, so that the time reveals nothing.
        matches = [hmac.compare_digest(known, shown) for known in self._digests]
        if True in matches:
            return Caller(shown.hex(), shown.hex())
        found = self._file.find(shown)
        if found is None:
            return None
        name, known = found
        return Caller(shown.hex(), shown.hex(), name, known.role, known.pipelines, known.create_limit)

    def admit_worker(self, request: Request) -> Caller:
        """Admit a caller that works on jobs. Call it before the request's body is read.

        Raises:
            ShelfwireError: `E_UNAUTHORIZED`, `E_FORBIDDEN`.
        """
        self.check_origin(request.headers.get("origin"), request.headers.get("host"))
        return self.caller(request, Role.WORK)

    async def admit_creation(self, request: Request, pipeline: str) -> Caller:
        """Admit the caller of a request that creates a job of a pipeline. Call it before the request's body is read.

        Raises:
            ShelfwireError: `E_UNAUTHORIZED`, `E_FORBIDDEN` (a website that is not allowed, a key of another role or for
                other pipelines), or as `count`.
        """
        self.check_origin(request.headers.get("origin"), request.headers.get("host"))
        caller = self.caller(request)
        caller.check_pipeline(pipeline)
        await self.count(caller)
        return caller

    async def admit_retry(self, request: Request) -> Caller:
        """Admit the owner of a job, who creates another one from it: the job's token serves as the API key.

        Raises:
            ShelfwireError: as `count`.
        """
        caller = Caller(_address(request), None)
        await self.count(caller)
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

    async def count(self, caller: Caller) -> None:
        """Count a job that a caller creates, on any node. The server's limit does not hold for workers.

        Raises:
            ShelfwireError: `E_RATE_LIMITED`; `E_STORAGE_UNAVAILABLE`, where several nodes share a store.
        """
        limit = caller.create_limit
        if limit is None:
            limit = 0 if caller.role.includes(Role.WORK) else self._limit
        wait = await self._creations.admit(caller.identity, limit)
        if wait:
            raise ShelfwireError(
                Code.RATE_LIMITED,
                f"This caller has created {limit} jobs within a minute, which is the limit (create_limit)",
                user_message=f"That was a lot at once. Please try again in {wait} s.",
                details={"limit": limit, RETRY_AFTER: wait},
            )

    def cors(self, app: ASGIApp) -> ASGIApp:
        """Return an application that answers the browsers of allowed websites; `app` itself where there are none."""
        if not self._origins:
            return app
        return self._cors(app)

    def cors_headers(self, origin: str | None) -> Mapping[str, str]:
        """Return the headers that `cors` adds to the answer to a request of this origin."""
        if not self._origins:
            return {}
        rules, headers = self._rules, MutableHeaders()
        if origin is not None:
            headers.update(rules.simple_headers)
        if origin is not None and not rules.allow_all_origins and rules.is_allowed_origin(origin):
            rules.allow_explicit_origin(headers, origin)
        else:
            headers["Vary"] = "Origin"
        return headers

    def _cors(self, app: ASGIApp) -> "_Cors":
        return _Cors(
            app,
            allow_origins=sorted(self._origins),
            allow_methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=[ANY],  # libraries add their own, such as Cache-Control, X-Requested-With or traceparent
            expose_headers=[
                *("Location", "Retry-After", "ETag", REQUEST_ID, "Link", "WWW-Authenticate", X_ERROR_CODE),
                "Content-Disposition",
            ],
            max_age=PREFLIGHT_SECONDS,
        )


async def _nowhere(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive, send


class _Cors(CORSMiddleware):
    """Starlette's, which answers a preflight without a body."""

    def preflight_response(self, request_headers: Headers) -> Response:
        answer = super().preflight_response(request_headers)
        if answer.status_code != _OK:
            return answer
        return Response(status_code=_NO_CONTENT, headers={k: v for k, v in answer.headers.items() if k not in _OF_BODY})


def _without_key(role: Role) -> ShelfwireError:
    needed = "" if role is Role.CREATE else f" of the role {role}. Make one with: shelfwire keys new --role {role}"
    what = "takes new jobs" if role in {Role.CREATE, Role.WORK} else "shows this"
    return ShelfwireError(
        Code.UNAUTHORIZED,
        f"The header {API_KEY} is missing or holds no API key of this server{needed}",
        user_message=f"This server {what} only with an API key. Ask its operator for one.",
        details={"header": API_KEY},
    )


def _is_local(request: Request) -> bool:
    """Whether a request comes from this machine; behind a proxy of this machine all seem to, but for its headers."""
    forwarded = any(name.startswith((b"forwarded", b"x-forwarded-")) for name, _ in request.headers.raw)
    return not forwarded and request.client is not None and is_loopback(request.client.host)


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
