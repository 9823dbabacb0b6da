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
    """

    digest: bytes
    job_id: str
    scopes: frozenset[Scope] = ALL_SCOPES
    expires_at: int | None = None


def mint(random: bytes) -> str:
    """The token made of `random`, which must be 32 bytes of a cryptographic source."""
    if len(random) != TOKEN_BYTES:
        raise ValueError(f"a token is made of {TOKEN_BYTES} random bytes, not {len(random)}")
    return urlsafe_b64encode(random).rstrip(b"=").decode()


def digest(token: str) -> bytes:
    """What is stored of a token, and looked up for one that a caller shows."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def check(grant: Grant | None, token: str, job_id: str, scope: Scope, *, now: int) -> None:
    """Let a caller pass, or say why not. A wrong token, another job's and no such job look the same.

    Raises:
        ShelfwireError: `E_UNAUTHORIZED`, `E_TOKEN_EXPIRED` (only to who holds the right token) or `E_FORBIDDEN`.
    """
    stored = grant.digest if grant is not None else bytes(32)
    matches = hmac.compare_digest(stored, digest(token))
    if grant is None or not matches or grant.job_id != job_id:
        raise ShelfwireError(Code.UNAUTHORIZED)
    if grant.expires_at is not None and grant.expires_at <= now:
        raise ShelfwireError(Code.TOKEN_EXPIRED)
    if scope not in grant.scopes:
        raise ShelfwireError(Code.FORBIDDEN, f"The token lacks the scope {scope}", details={"scope": str(scope)})
