"""Declares routes that create jobs, those of plug-ins as well: each is one `creation_route` with its intakes."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.errors import Code, ErrorCode, ShelfwireError
from shelfwire.jobs.callbacks import MAX_URL_CHARS
from shelfwire.jobs.pipeline import OPTIONS, Pipeline, stored_options
from shelfwire.jobs.service import InputWriter, Terms
from shelfwire.jobs.store import Idempotency
from shelfwire.protocol.messages import Metadata, Uuid
from shelfwire.web.access import Caller
from shelfwire.web.credentials import job_id_of
from shelfwire.web.intakes import FORM_TYPE, FileIntake, FormIntake, Intake, JsonIntake, unsupported
from shelfwire.web.parameters import from_text, names_of, query_of
from shelfwire.web.responses import JSON_TYPE, Success, success_response
from shelfwire.web.root_path import root_of
from shelfwire.web.route import API_KEY, CACHING, Answer, Context, Header, RequestBody, Route
from shelfwire.web.schemas import CreatedJob, created_of
from shelfwire.web.uploads import Body, Pace, Received, Submission

__all__ = [
    "FORM_TYPE",
    "JSON_TYPE",
    "CallbackUrl",
    "FileIntake",
    "FormIntake",
    "Intake",
    "JobId",
    "JsonIntake",
    "Received",
    "creation_route",
]

CREATION_REFUSALS: Final = (
    Code.UNAUTHORIZED,
    Code.FORBIDDEN,
    Code.NOT_FOUND,
    Code.JOB_EXISTS,
    Code.JOB_STATE,
    Code.FILE_TOO_LARGE,
    Code.UNSUPPORTED_MEDIA,
    Code.IDEMPOTENCY_MISMATCH,
    Code.RATE_LIMITED,
    Code.CALLBACK_REFUSED,
)
"""The codes that a request for a new job may be refused with."""
MAX_KEY_CHARS: Final = 255
IDEMPOTENCY_KEY: Final = Header(
    name="Idempotency-Key",
    description="A secret of the caller's own: the same request with the same key is answered with the same job.",
    schema={"type": "string", "minLength": 1, "maxLength": MAX_KEY_CHARS, "pattern": "^[!-~]([ -~]*[!-~])?$"},
)
LOCATION: Final = Header(name="Location", description="Where the new job's state is.", required=True)
CREATED: Final[Mapping[int, Answer]] = {
    202: Answer(content={JSON_TYPE: Success[CreatedJob]}, headers=[LOCATION, CACHING])
}

CallbackUrl = Annotated[
    Annotated[str, msgspec.Meta(max_length=MAX_URL_CHARS)] | None,
    msgspec.Meta(description="The address that is called when the job has ended."),
]
"""The member `callback_url` of such a body; None by default."""
JobId = Annotated[Uuid | None, msgspec.Meta(description="The caller's own choice of the job's id.")]
"""The member `job_id` of a JSON body that creates a job; None by default."""


class CreationQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The query parameters of every request that creates a job; where the body has one too, that one counts."""

    callback_url: CallbackUrl = None


Check = Callable[[Mapping[str, Received]], None]
"""Raises a `ShelfwireError` where no job can be created over some inputs."""


def creation_route(
    path: str,
    pipeline: str | None,
    intakes: Mapping[str, Intake],
    *,
    operation_id: str,
    summary: str,
    refusals: Sequence[ErrorCode] = (),
    check: Check = lambda _: None,
    photos: bool = False,
) -> Route:
    """Declare a route that creates jobs of one pipeline.

    It takes the caller's API key, an `Idempotency-Key` and the caller's own id for the job, the address to call when it
    has ended, and the options of the pipeline as form fields or query parameters; a form field wins.

    Args:
        path: the path; see `Route`.
        pipeline: the pipeline; None if the path parameter `pipeline` names it.
        intakes: by media type, how a body is received. A `FileIntake` takes every type that is not among them.
        operation_id: see `Route`.
        summary: see `Route`.
        refusals: the codes that requests may be refused with, beside those of `CREATION_REFUSALS`.
        check: checks the inputs once all have been received.
        photos: whether the inputs are photos, whose number belongs to the job's metadata.
    """
    return Route(
        method="POST",
        path=path,
        query=CreationQuery,
        handler=_Creation(pipeline, intakes, check, photos=photos),
        operation_id=operation_id,
        summary=summary,
        answers=CREATED,
        security=API_KEY,
        path_parameters={} if pipeline else {"pipeline": "The name of a pipeline that the server has."},
        headers=[IDEMPOTENCY_KEY],
        body=RequestBody(content={media_type: intake.schema for media_type, intake in intakes.items()}),
        pipeline=pipeline,
        refusals=(*CREATION_REFUSALS, *refusals),
    )


class _Creation:
    """The handler of a route that creates jobs."""

    def __init__(self, pipeline: str | None, intakes: Mapping[str, Intake], check: Check, *, photos: bool) -> None:
        self._pipeline = pipeline
        self._intakes = intakes
        self._otherwise = next((intake for intake in intakes.values() if isinstance(intake, FileIntake)), None)
        self._check = check
        self._photos = photos

    async def __call__(self, request: Request, context: Context) -> Response:
        name = self._pipeline or request.path_params["pipeline"]
        caller = await context.access.admit_creation(request, name)
        service = context.service
        pipeline = service.pipeline(name, local=caller.is_local)
        async with service.upload() as upload:
            content = await self._receive(request, context, pipeline, upload)
            photos = len(content.inputs) if self._photos else None
            metadata = _metadata(content.inputs, photos)
            digests = {name: received.digest.hex() for name, received in content.inputs.items()}
            options = _options(request, content, pipeline)
            if options is not None:
                await upload.write(OPTIONS, options)
                digests[OPTIONS] = hashlib.sha256(options).hexdigest()
            job_id = None if content.job_id is None else job_id_of(content.job_id)
            same = [name, job_id, dict(sorted(digests.items()))]
            url = await _callback_url(request, context, content)
            idempotency = idempotency_of(request, caller, same if url is None else [*same, url])
            token = await service.create(
                upload,
                name,
                metadata,
                job_id=job_id,
                idempotency=idempotency,
                caller=caller.digest,
                local=caller.is_local,
                terms=Terms(callback_url=url),
            )
        root = root_of(request.scope)
        return created_response(context, created_of(token, root, total_photos=photos, total_count=content.total))

    async def _receive(self, request: Request, context: Context, pipeline: Pipeline, upload: InputWriter) -> Submission:
        body = Body(request, Pace.of(context.settings))
        intake = self._intakes.get(body.media_type, self._otherwise)
        if intake is None:
            raise unsupported(body, self._intakes.values())
        content = Submission(
            upload.write,
            limit=context.settings.max_upload,
            text_fields=names_of(pipeline.options),
            check=pipeline.check_request,
        )
        await intake.receive(body, content)
        self._check(content.inputs)
        return content


async def _callback_url(request: Request, context: Context, content: Submission) -> str | None:
    """Return the address to call, once it has been checked; in the query it may come beside a body that is one file."""
    url = query_of(request, CreationQuery).callback_url if content.callback_url is None else content.callback_url
    return None if url is None else await context.callbacks.admit(url)


def _options(request: Request, content: Submission, pipeline: Pipeline) -> bytes | None:
    """Return the options of a job as they are stored, once the pipeline has checked them."""
    from_text(request.query_params, pipeline.options)  # one that a form field goes before must be valid all the same
    options = from_text({**request.query_params, **content.texts}, pipeline.options)
    pipeline.check_options(options)
    return stored_options(options)


def created_response(context: Context, created: CreatedJob) -> Response:
    """Answer with a job that was created."""
    return success_response(created, context.service.now(), status=202, headers={"Location": created.links.self})


def idempotency_of(request: Request, caller: Caller, content: Sequence[Any]) -> Idempotency | None:
    """Return what recognises a repeated request, if it has an `Idempotency-Key`.

    Args:
        request: the request.
        caller: the caller, whose keys mean nothing for others.
        content: JSON values that are the same for the same request.

    Raises:
        ShelfwireError: `E_INVALID_REQUEST`: the key is not valid.
    """
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= MAX_KEY_CHARS or not key.isascii() or not key.isprintable():
        raise ShelfwireError(
            Code.INVALID_REQUEST, f"The Idempotency-Key must be 1 to {MAX_KEY_CHARS} printable ASCII characters"
        )
    return Idempotency(key=_digest([caller.key, key]), fingerprint=_digest(content))


def _digest(value: Any) -> bytes:
    return hashlib.sha256(msgspec.json.encode(value)).digest()


def _metadata(inputs: Mapping[str, Received], photos: int | None) -> Metadata:
    files = [received for received in inputs.values() if received.file_name is not None] or list(inputs.values())
    size = sum(received.size for received in files)
    return Metadata(file_name=files[0].file_name, file_size=size, photo_count=photos)
