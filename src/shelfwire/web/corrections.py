"""The routes of what owners correct in the results of a job."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.corrections import MAX_CORRECTION_BYTES
from shelfwire.protocol.tokens import Scope
from shelfwire.web.compression import compressed
from shelfwire.web.responses import JSON_TYPE, Success, success_response
from shelfwire.web.route import CACHING, Answer, Context, RequestBody, job_route
from shelfwire.web.uploads import Body, Pace, parsed
from shelfwire.web.visitors import visitor_of

MAX_CORRECTIONS: Final = 10_000
MAX_INDEX: Final = 2**31 - 1


class Corrections(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is corrected in the results of a job."""

    corrections: Annotated[
        list[dict[str, Any]],
        Meta(
            max_length=MAX_CORRECTIONS,
            description="Each the `index` of an item, and members that the job's pipeline takes.",
            extra_json_schema={"items": {"type": "object", "required": ["index"]}},
        ),
    ]


async def corrections(request: Request, context: Context) -> Response:
    """Return what was corrected in the results of a job, in the order of the items."""
    visitor = visitor_of(request, context, Scope.RESULTS)
    job_id = (await visitor.authorize(Scope.RESULTS)).job_id
    await visitor.note_read("corrections")
    return await _answer(request, context, job_id)


async def correct(request: Request, context: Context) -> Response:
    """Replace all that was corrected. The job and its results stay as they are."""
    by_index: dict[int, list[Any]] = {}
    job_id, body, visitor = await _asked(request, context)
    for place, one in enumerate(body.corrections):
        index = one.pop("index", None)
        if not isinstance(index, int) or isinstance(index, bool):
            raise ShelfwireError(Code.INVALID_REQUEST, f"corrections[{place}].index must be a whole number")
        by_index.setdefault(index, []).append(one)
    async with visitor.acting("correct") as entry:
        await context.service.correct(job_id, by_index, whole=True, audit=entry)
    return await _answer(request, context, job_id)


async def correct_item(request: Request, context: Context) -> Response:
    """Replace what was corrected of one item; an empty list takes it back."""
    index = _index_in(request.path_params["index"])
    job_id, body, visitor = await _asked(request, context)
    given = [{name: value for name, value in one.items() if name != "index"} for one in body.corrections]
    async with visitor.acting("correct") as entry:
        await context.service.correct(job_id, {index: given}, whole=False, audit=entry)
    return await _answer(request, context, job_id)


def _index_in(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_INDEX))):
        raise ShelfwireError(Code.NOT_FOUND, f"{text[:20]} is no index of an item")
    return int(text)


async def _asked(request: Request, context: Context) -> Any:
    visitor = visitor_of(request, context, Scope.CONTROL)
    job_id = (await visitor.authorize(Scope.CONTROL)).job_id
    body = await Body(request, Pace.of(context.settings)).read(MAX_CORRECTION_BYTES)
    return job_id, parsed(body, Corrections), visitor


async def _answer(request: Request, context: Context, job_id: str) -> Response:
    found = await context.service.corrections(job_id)
    listed = [{"index": index, **one} for index, given in found.items() for one in msgspec.json.decode(given)]
    return await compressed(request, success_response(Corrections(listed), context.service.now()))


_ANSWER: Final = {200: Answer(content={JSON_TYPE: Success[Corrections]}, headers=[CACHING])}
_BODY: Final = RequestBody(content={JSON_TYPE: Corrections})
_REFUSALS: Final = (Code.ITEM_UNKNOWN, Code.FILE_TOO_LARGE)

ROUTES: Final = (
    job_route("GET", "/corrections", corrections, _ANSWER),
    job_route("PUT", "/corrections", correct, _ANSWER, body=_BODY, refusals=_REFUSALS),
    job_route(
        "PUT",
        "/corrections/{index}",
        correct_item,
        _ANSWER,
        body=_BODY,
        path_parameters={"index": "The index of the item."},
        refusals=(Code.NOT_FOUND, *_REFUSALS),
    ),
)
