"""Tokens: how they look, how they are stored, and what they permit.

A token is 256 random bits, shown to its owner once; only its SHA-256 digest is stored (section 4 of the contract).
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from enum import StrEnum
from typing import Final

import msgspec

from shelfwire.errors import Code, ShelfwireError

TOKEN_BYTES: Final = 32
GRACE: Final = 60_000
"""Milliseconds for which a token stays valid after its replacement (section 4 of the contract)."""
MAX_GRANTS: Final = 100
"""Limit of unexpired tokens of one job."""
MAX_REPEATS: Final = 10
"""How many more there may be where tokens are replaced that were before, because the answer may have been lost."""


class Scope(StrEnum):
    """A permission on a job."""

    WATCH = "watch"
    CONTROL = "control"
    RESULTS = "results"
    REPORT = "report"


ALL_SCOPES: Final = frozenset({Scope.WATCH, Scope.CONTROL, Scope.RESULTS})
"""What a job's owner may have; reporting is for its worker alone."""


class Grant(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The stored form of a token.

    Attributes:
        digest: SHA-256 of the token.
        job_id: its job.
        scopes: its permissions.
        expires_at: milliseconds since the epoch; None means with the job.
        ttl: its lifetime in milliseconds as it was issued; tokens derived from it get no longer one.
        attempt: the only attempt that may report with it; None for the token of an owner.
    """

    digest: bytes
    job_id: str
    scopes: frozenset[Scope] = ALL_SCOPES
    expires_at: int | None = None
    ttl: int | None = None
    attempt: int | None = None


def may_add(lasting: int, *, replacing: bool, repeated: bool) -> bool:
    """Whether a job may have one more token.

    Args:
        lasting: how many it has, without those that have expired, or within `GRACE` will have where one is replaced.
        replacing: whether the new one takes the place of another.
        repeated: whether that one was replaced before, so that the number grows.
    """
    if replacing and not repeated:
        return True
    return lasting < MAX_GRANTS + (MAX_REPEATS if repeated else 0)


def issue(digest: bytes, job_id: str, *, ttl: int | None, now: int, scopes: frozenset[Scope] = ALL_SCOPES) -> Grant:
    """Make the grant of a new token that is valid for `ttl` milliseconds, or as long as the job."""
    expires_at = None if ttl is None else now + ttl
    return Grant(digest=digest, job_id=job_id, scopes=scopes, expires_at=expires_at, ttl=ttl)


def derive(caller: Grant, digest: bytes, *, scopes: frozenset[Scope] | None, ttl: int | None, now: int) -> Grant:
    """Make the grant of a new token from another one, with no more scopes and no longer lifetime.

    Args:
        caller: the grant of the token that requests it.
        digest: of the new token.
        scopes: its scopes; None for all of the caller's.
        ttl: its lifetime in milliseconds; None for the caller's.
        now: the time.

    Raises:
        ShelfwireError: `E_FORBIDDEN`: the caller lacks one of the scopes.
    """
    wanted = caller.scopes if scopes is None else scopes
    if lacking := sorted(wanted - caller.scopes):
        raise ShelfwireError(Code.FORBIDDEN, f"The token lacks the scopes {', '.join(lacking)} that it requests")
    limits = [limit for limit in (ttl, caller.ttl) if limit is not None]
    return issue(digest, caller.job_id, ttl=min(limits, default=None), now=now, scopes=wanted)


def canonical(job_id: str) -> str:
    """Return a job's id in the form in which ids are compared: some clients write a UUID in upper case."""
    return job_id.lower()


def mint(random: bytes) -> str:
    """Make a token of `random`, which must be 32 bytes from a cryptographic source."""
    if len(random) != TOKEN_BYTES:
        raise ValueError(f"a token is made of {TOKEN_BYTES} random bytes, not {len(random)}")
    return urlsafe_b64encode(random).rstrip(b"=").decode()


def digest(token: str) -> bytes:
    """Return the digest under which a token is stored and looked up."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def opens(grant: Grant, job_id: str, *, now: int) -> bool:
    """Whether a token of this grant must not be answered with a 401."""
    return grant.job_id == canonical(job_id) and (grant.expires_at is None or grant.expires_at > now)


def check(grant: Grant | None, token: str, job_id: str, scope: Scope, *, now: int) -> Grant:
    """Return the grant if it authorizes `scope`; raise otherwise.

    A wrong token, another job's token and an unknown job look the same. The caller's spelling of the job's id may
    differ from the grant's in its case; use the grant's from here on.

    Raises:
        ShelfwireError: `E_UNAUTHORIZED`, `E_TOKEN_EXPIRED` (only for the right token) or `E_FORBIDDEN`.
    """
    stored = grant.digest if grant is not None else bytes(32)
    matches = hmac.compare_digest(stored, digest(token))
    if grant is None or not matches or grant.job_id != canonical(job_id):
        raise ShelfwireError(Code.UNAUTHORIZED)
    if grant.expires_at is not None and grant.expires_at <= now:
        raise ShelfwireError(Code.TOKEN_EXPIRED)
    if scope not in grant.scopes:
        raise ShelfwireError(Code.FORBIDDEN, f"The token lacks the scope {scope}", details={"scope": str(scope)})
    return grant
