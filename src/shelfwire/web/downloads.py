"""Results as one file: all pages of CSV, NDJSON or JSON, or a format of a plug-in, as the command line has them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import PurePath
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec
from starlette.responses import StreamingResponse

from shelfwire.clock import yield_to_loop
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.pipeline import Pipeline, columns_of
from shelfwire.jobs.service import JobService, Page
from shelfwire.plugins.loading import loaded
from shelfwire.protocol.job import JobState
from shelfwire.web.compression import in_thread
from shelfwire.web.csv_export import CSV_TYPE, NDJSON_TYPE, csv_of, ndjson_of
from shelfwire.web.responses import CACHE_CONTROL, JSON_TYPE, NO_STORE
from shelfwire.web.schemas import item_of

PAGE_ITEMS: Final = 1000
SLICE_SECONDS: Final = 0.005
"""How long a plug-in writes at a time; then others have their turn."""
MAX_STEM_CHARS: Final = 80
OWN_TYPES: Final[Mapping[str, str]] = {
    "csv": f"{CSV_TYPE}; header=present",
    "ndjson": NDJSON_TYPE,
    "json": JSON_TYPE,
}
"""The formats that every pipeline's results have."""
_HARMLESS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}
"""A page with other people's texts does nothing, even if it is opened where it came from."""

Export = Callable[[AsyncIterator[dict[str, Any]]], AsyncIterator[bytes]]


class Wanted(NamedTuple):
    """What is wanted in the file.

    Attributes:
        form: one of `OWN_TYPES`, or the name of a plug-in's format.
        ok: only items that were done, or only those that failed; None for all.
        corrected: whether what a person has corrected is applied.
    """

    form: str
    ok: bool | None
    corrected: bool


def export_of(exports: Mapping[str, Mapping[str, str]], pipeline: str, form: str) -> Export:
    """Return what writes a plug-in's format.

    Args:
        exports: by pipeline and format, its function.
        pipeline: the job's pipeline.
        form: the format.

    Raises:
        ShelfwireError: `E_INVALID_REQUEST`: the results of the pipeline have no such format.
    """
    known = exports.get(pipeline, {})
    if form not in known:
        names = ", ".join([*OWN_TYPES, *known])
        raise ShelfwireError(
            Code.INVALID_REQUEST, f"Results of {pipeline} cannot be had as {form[:40]!r}. The formats are: {names}"
        )
    write: Export = loaded(known[form])
    return write


def download(
    service: JobService, state: JobState, wanted: Wanted, pipeline: Pipeline | None, export: Export | None
) -> StreamingResponse:
    """Answer with one file of what is recorded now.

    Args:
        service: the engine.
        state: the job.
        wanted: what is wanted.
        pipeline: the job's pipeline, if it is known.
        export: writes the format, where it is a plug-in's.
    """
    pages = _pages(service, state.id, wanted)
    own = _own_parts(pages, wanted.form, pipeline)
    parts = own if export is None else _in_turns(export(_items(pages)))
    media_type = OWN_TYPES.get(wanted.form, "text/html" if wanted.form == "html" else CSV_TYPE)
    headers = {CACHE_CONTROL: NO_STORE, "Content-Disposition": _disposition(state, wanted.form), **_HARMLESS}
    return StreamingResponse(parts, headers=headers, media_type=media_type)


async def _pages(service: JobService, job_id: str, wanted: Wanted) -> AsyncIterator[Page]:
    cursor: int | None = -1
    after = None
    while cursor is not None and cursor != after:
        after = cursor
        page = await service.results(job_id, after=after, limit=PAGE_ITEMS, ok=wanted.ok, corrected=wanted.corrected)
        yield page
        cursor = page.next


async def _own_parts(pages: AsyncIterator[Page], form: str, pipeline: Pipeline | None) -> AsyncIterator[bytes]:
    before = b"[\n"
    header = True
    async for page in pages:
        if form == "csv":
            yield await in_thread(partial(_table, page, pipeline, header=header))
            header = False
            continue
        lines = await in_thread(partial(_lines, page))
        if form == "ndjson":
            yield lines
        elif lines:
            yield before + lines[:-1].replace(b"\n", b",\n")
            before = b",\n"
    if form == "json":
        yield b"\n]\n" if before == b",\n" else b"[]\n"


def _table(page: Page, pipeline: Pipeline | None, *, header: bool) -> bytes:
    items = page.items if pipeline is None else pipeline.lines(page.items)
    columns = () if pipeline is None else columns_of(pipeline)
    return csv_of(map(item_of, items), columns, header=header).encode("utf-8", "replace")


def _lines(page: Page) -> bytes:
    return ndjson_of(map(item_of, page.items))


async def _items(pages: AsyncIterator[Page]) -> AsyncIterator[dict[str, Any]]:
    async for page in pages:
        for item in await in_thread(partial(_decoded, page)):
            yield item


def _decoded(page: Page) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = msgspec.json.decode(msgspec.json.encode(list(map(item_of, page.items))))
    return items


async def _in_turns(parts: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Join small parts, and let others have their turn every few milliseconds."""
    now = asyncio.get_running_loop().time
    until, ready = now() + SLICE_SECONDS, bytearray()
    async for part in parts:
        ready += part
        if now() > until:
            yield bytes(ready)
            ready.clear()
            await yield_to_loop()
            until = now() + SLICE_SECONDS
    yield bytes(ready)


def _disposition(state: JobState, form: str) -> str:
    """The name of the file: that of the input with the format. RFC 6266."""
    given = state.metadata.file_name if state.metadata else None
    stem = PurePath(given or state.pipeline).stem[:MAX_STEM_CHARS]
    ending = form if form in {*OWN_TYPES, "html"} else "csv"
    name = f"{stem}-{'books' if ending == form else form}.{ending}"
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-_. ") else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"
