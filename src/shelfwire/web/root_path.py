"""The place where shelfwire is mounted in the application around it, as ASGI's `root_path` has it."""

from typing import Final
from urllib.parse import quote, unquote

from starlette.types import Scope

MAX_PATH_CHARS: Final = 200
_KEPT: Final = "/~!$&'()*+,;=:@"


def own_scope(scope: Scope) -> Scope:
    """Return a copy for the application inside, which writes into it; the host around it reads its own afterwards."""
    own = {**scope, "state": dict(scope.get("state") or {})}
    if "path" in own:
        own["root_path"] = root = own.get("root_path", "").rstrip("/")
        if not f"{own['path']}/".startswith(f"{root}/"):
            own["path"] = root + own["path"]  # some hosts cut off what has led here, against the specification
    return own


def mount_below(scope: Scope, prefix: str) -> None:
    """Put a path that was cut off on the way to this server, encoded, before that of a request."""
    cut = unquote(prefix.rstrip("/"))
    scope["root_path"] = cut + scope["root_path"]
    scope["path"] = cut + scope["path"]


def root_of(scope: Scope) -> str:
    """Return what comes before our own paths in a URL, empty where nothing does.

    Encoded: a host may mount us below a pattern, which lets callers write there what they like.
    """
    return quote(scope.get("root_path", "").rstrip("/"), safe=_KEPT)


def path_of(scope: Scope) -> str:
    """Return the path as it came, still encoded, so that it is one word; never the query, which may hold a token."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode("ascii", "backslashreplace")
    return raw.partition(b"?")[0].decode("latin-1")[:MAX_PATH_CHARS]
