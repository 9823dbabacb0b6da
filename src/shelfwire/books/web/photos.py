"""The route that shows the photos of a scan again."""

import hashlib
from functools import partial
from typing import Annotated, Final, Protocol, runtime_checkable

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from shelfwire.books.ai_scan.limits import MAX_PHOTOS, photo_input
from shelfwire.books.codes import BookCode
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.pipeline import ReadInput
from shelfwire.web.below_job import CACHE_CONTROL, ETAG, REVALIDATE, Scope, matching_tag, query_of, visitor_of
from shelfwire.web.route import CACHING, Answer, Context, Header, job_route

JPEG_TYPE: Final = "image/jpeg"
HASH_CHARS: Final = 16
NOT_MODIFIED: Final = 304
_HARMLESS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class PhotoQuery(msgspec.Struct, frozen=True):
    """How a photo is shown."""

    width: Annotated[
        Annotated[int, Meta(ge=16, le=4096)] | None,
        Meta(description="Its width in pixels at most; a photo is never enlarged, nor shown longer than 3072 pixels."),
    ] = None


@runtime_checkable
class ShowsPhotos(Protocol):
    """A pipeline that shows the photos of its jobs."""

    async def shown(self, name: str, read: ReadInput, width: int | None) -> bytes | None:
        """See `AiScan.shown`."""
        ...


async def photo(request: Request, context: Context) -> ASGIApp:
    """Return a photo of a scan: upright, as JPEG, without what the camera noted in it."""
    query = query_of(request, PhotoQuery)
    visitor = visitor_of(request, context, Scope.RESULTS)
    job_id = (await visitor.authorize(Scope.RESULTS)).job_id
    await visitor.note_read("photos")
    state = (await context.service.get(job_id)).state
    pipeline = context.pipelines.get(state.pipeline)
    number = request.path_params["n"]
    missing = ShelfwireError(Code.NOT_FOUND, f"Job {job_id} has no photo {number[:9]}: they count from 0")
    if not isinstance(pipeline, ShowsPhotos) or number not in map(str, range(MAX_PHOTOS)):
        raise missing
    # A job's inputs never change; another one that is given its id later is made at another time.
    same = f"{job_id} {state.created_at} {number} {query.width}"
    tag = f'"{hashlib.sha256(same.encode()).hexdigest()[:HASH_CHARS]}"'
    headers = {ETAG: tag, CACHE_CONTROL: REVALIDATE, **_HARMLESS}
    if (known := matching_tag(request.headers.get("if-none-match", ""), tag)) is not None:
        return Response(None, NOT_MODIFIED, {**headers, ETAG: known})
    jpeg = await pipeline.shown(photo_input(int(number)), partial(context.service.read_input, job_id), query.width)
    if jpeg is None:
        raise missing
    return context.large_answers.in_parts(Response(jpeg, headers=headers, media_type=JPEG_TYPE), job_id)


_ETAG: Final = Header(name=ETAG, description="Identifies the photo in this width.", required=True)
_BINARY: Final = {"type": "string", "format": "binary", "description": "The photo."}

ROUTE: Final = job_route(
    "GET",
    "/photos/{n}",
    photo,
    {
        200: Answer(content={JPEG_TYPE: _BINARY}, headers=[_ETAG, CACHING]),
        304: Answer(description="The photo is as it was.", headers=[_ETAG, CACHING]),
    },
    operation_id="photo",
    path_parameters={"n": "The photo's place among those of the job, from 0."},
    query=PhotoQuery,
    headers=[Header(name="If-None-Match", description="The `ETag` of the photo that is known already.")],
    refusals=[Code.NOT_FOUND, Code.OVERLOADED, BookCode.IMAGE_UNREADABLE],
)
