"""Codes that open the operator's page once without a key to be pasted, and the keys that they are changed into."""

from collections.abc import Callable
from typing import Final, NamedTuple

from cachetools import TTLCache

from shelfwire.clock import Clock
from shelfwire.protocol.tokens import TOKEN_BYTES, digest, mint

CODE_SECONDS: Final = 60
KEY_SECONDS: Final = 12 * 3600
MAX_CODES: Final = 100
MAX_KEYS: Final = 1000
KEY_PREFIX: Final = "sw_page_"


class Issued(NamedTuple):
    """A secret that was made, and when it ends, in milliseconds since the epoch."""

    secret: str
    expires_at: int


class KeyCodes:
    """The codes and keys of the operator's page. Only their digests are held; the oldest make room for new ones.

    A key stands for the API key that its code was made with: it has that one's name and role, and ends with it.

    Args:
        clock: the time.
        random_bytes: returns as many random bytes from a cryptographic source.
    """

    def __init__(self, clock: Clock, random_bytes: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random_bytes = random_bytes
        self._codes: TTLCache[bytes, bytes] = TTLCache(MAX_CODES, CODE_SECONDS, clock.monotonic)
        self._keys: TTLCache[bytes, bytes] = TTLCache(MAX_KEYS, KEY_SECONDS, clock.monotonic)

    def issue(self, shown: bytes) -> Issued:
        """Make a code for the holder of an API key, by its digest."""
        code = mint(self._random_bytes(TOKEN_BYTES))
        self._codes[digest(code)] = shown
        return Issued(code, self._clock.now() + CODE_SECONDS * 1000)

    def redeem(self, code: str) -> Issued | None:
        """Change a code into a key; None if it is none, was used, or is too old."""
        shown = self._codes.pop(digest(code), None)
        if shown is None:
            return None
        key = KEY_PREFIX + mint(self._random_bytes(TOKEN_BYTES))
        self._keys[digest(key)] = shown
        return Issued(key, self._clock.now() + KEY_SECONDS * 1000)

    def stands_for(self, shown: bytes) -> bytes | None:
        """Return the digest of the API key that a key of the page stands for, by its own; None if it is none."""
        found: bytes | None = self._keys.get(shown)
        return found
