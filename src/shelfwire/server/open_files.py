"""The limit of open files, of which each connection is one. Most systems begin with 1,024 and allow a process more."""

import sys
from pathlib import Path
from typing import Final

import structlog

if sys.platform != "win32":
    import resource

ENOUGH: Final = 1_048_576
"""More are not asked for; some systems have no limit and refuse a request for it."""
OWN_FILES: Final = 128
"""What the server opens beside its followers: the store, uploads, and connections that ask for something else."""
MIN_OWN_FILES: Final = 24

log = structlog.get_logger(__name__)


def allow_open_files(max_followers: int) -> int:
    """Raise the process's limit of open files as far as the system lets it, and warn if the followers do not fit in.

    Args:
        max_followers: the number of followers that the settings promise to serve at once.

    Returns:
        The number of connections for which there is room.
    """
    if sys.platform == "win32":
        return ENOUGH
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            soft = wanted
        except (OSError, ValueError) as error:
            log.warning("the limit of open files could not be raised", limit=soft, reason=str(error))
    if soft != resource.RLIM_INFINITY and soft < max_followers + OWN_FILES:
        log.warning(
            "max_followers does not fit into the limit of open files; raise that (ulimit -n), or lower max_followers",
            max_followers=max_followers,
            limit=soft,
        )
    if soft == resource.RLIM_INFINITY:
        return ENOUGH
    return max(1, soft - _open_now() - min(OWN_FILES, max(MIN_OWN_FILES, soft // 4)))


def _open_now() -> int:
    try:
        return sum(1 for _ in Path("/dev/fd").iterdir())
    except OSError:
        return MIN_OWN_FILES
