"""Compression of answers with gzip, for those who take it (RFC 9110, section 12.5.3).

A handler asks for it: an answer with a token in it must not be compressed, and a stream is sent as it comes.
"""

import asyncio
import gzip
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from shelfwire.web.accept import takes_gzip

MIN_BYTES: Final = 1024
THREAD_BYTES: Final = 16 * 1024
"""The size from which an answer is compressed in a thread: the event loop has PINGs to answer."""
LEVEL: Final = 5
"""2.4 ms for a page of 267 kB; level 6 takes half as long again, for 2 % less."""
ETAG: Final = "ETag"


_thread: Final = ThreadPoolExecutor(1, thread_name_prefix="shelfwire-pages")
T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Compute beside the event loop, in a thread that all share: with several the loop would wait for each in turn."""
    return await asyncio.get_running_loop().run_in_executor(_thread, work)


async def compressed(request: Request, answer: Response) -> Response:
    """Compress the body of an answer if it is large and the caller takes it; say in any case that it depends on that.

    The `ETag` of a compressed body is weak: byte for byte it is not the one that others get.

    Args:
        request: the request.
        answer: the answer, complete; it is changed.
    """
    answer.headers.add_vary_header("Accept-Encoding")
    body = bytes(answer.body)
    if len(body) <= MIN_BYTES or not takes_gzip(request.headers.get("accept-encoding", "")):
        return answer
    compress = partial(gzip.compress, body, LEVEL, mtime=0)
    answer.body = await in_thread(compress) if len(body) >= THREAD_BYTES else compress()
    answer.headers["Content-Encoding"] = "gzip"
    answer.headers["Content-Length"] = str(len(answer.body))
    if ETAG in answer.headers:
        answer.headers[ETAG] = f"W/{answer.headers[ETAG]}"
    return answer


def matching_tag(if_none_match: str, tag: str) -> str | None:
    """Return the entity tag among those of a header `If-None-Match` that is the same but for weakness, as it was sent.

    Args:
        if_none_match: the header; empty for none.
        tag: the tag of what would be answered, strong.
    """
    sent = [part.strip() for part in if_none_match.split(",")]
    return next((given for given in sent if given.removeprefix("W/") == tag), tag if "*" in sent else None)
