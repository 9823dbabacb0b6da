"""Tokens: how they look, what is stored of them, and what they allow.

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
"""Milliseconds that a token outlives the one which replaces it (section 4 of the contract)."""
MAX_GRANTS: Final = 100
"""Tokens of one job at a time, expired ones aside."""


class Scope(StrEnum):
    """What a token allows on its job."""

    WATCH = "watch"
    CONTROL = "control"
    RESULTS = "results"


ALL_SCOPES: Final = frozenset(Scope)


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What the store keeps of one token.

    Attributes:
        digest: SHA-256 of the token.
        job_id: the only job it is good for.
        scopes: what it allows there.
        expires_at: milliseconds since the epoch; None lasts as long as the job.
        ttl: milliseconds it was made to last; what is made from it lasts no longer.
    """

    digest: bytes
    job_id: str
    scopes: frozenset[Scope] = ALL_SCOPES
    expires_at: int | None = None
    ttl: int | None = None


def issue(digest: bytes, job_id: str, *, ttl: int | None, now: int, scopes: frozenset[Scope] = ALL_SCOPES) -> Grant:
    """What is kept of a new token that lasts `ttl` milliseconds, or as long as the job."""
    expires_at = None if ttl is None else now + ttl
    return Grant(digest=digest, job_id=job_id, scopes=scopes, expires_at=expires_at, ttl=ttl)


def derive(caller: Grant, digest: bytes, *, scopes: frozenset[Scope] | None, ttl: int | None, now: int) -> Grant:
    """What is kept of a new token that the holder of another asks for: it allows no more and lasts no longer.

    Args:
        caller: the token it is asked for with.
        digest: of the new one.
        scopes: what it shall allow; None for all that the caller's does.
        ttl: milliseconds it shall last; None for as long as the caller's was made to.
        now: the time.

    Raises:
        ShelfwireError: `E_FORBIDDEN`: it would allow more than the caller's.
    """
    wanted = caller.scopes if scopes is None else scopes
    if lacking := sorted(wanted - caller.scopes):
        raise ShelfwireError(Code.FORBIDDEN, f"The token lacks the scopes {', '.join(lacking)} that it asks for")
    limits = [limit for limit in (ttl, caller.ttl) if limit is not None]
    return issue(digest, caller.job_id, ttl=min(limits, default=None), now=now, scopes=wanted)


def canonical(job_id: str) -> str:
    """A job's id in the form in which ids are compared: some clients write a UUID in capitals."""
    return job_id.lower()


def mint(random: bytes) -> str:
    """The token made of `random`, which must be 32 bytes of a cryptographic source."""
    if len(random) != TOKEN_BYTES:
        raise ValueError(f"a token is made of {TOKEN_BYTES} random bytes, not {len(random)}")
    return urlsafe_b64encode(random).rstrip(b"=").decode()


def digest(token: str) -> bytes:
    """What is stored of a token, and looked up for one that a caller shows."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def check(grant: Grant | None, token: str, job_id: str, scope: Scope, *, now: int) -> Grant:
    """Let a caller pass with its grant, or say why not. A wrong token, another job's and no such job look the same.

    The job's id as the caller wrote it may differ from the grant's in its capitals; go on with the grant's.

    Raises:
        ShelfwireError: `E_UNAUTHORIZED`, `E_TOKEN_EXPIRED` (only to who holds the right token) or `E_FORBIDDEN`.
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
