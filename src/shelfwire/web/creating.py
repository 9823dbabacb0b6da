"""The routes that make jobs. Each turns a request into inputs and goes through `create`."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, Schema
from litestar.params import FromPath
from multipart import parse_options_header

from shelfwire.books.csv_import.options import (
    ENRICH_INPUT,
    NO_KEY,
    NO_KEY_FOR_A_PERSON,
    WISH_INPUT,
    WISHED,
    GeminiUse,
)
from shelfwire.books.settings import BookSettings
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.service import JobService, Upload
from shelfwire.jobs.store import Idempotency
from shelfwire.protocol.messages import Metadata
from shelfwire.protocol.tokens import Scope
from shelfwire.settings import Settings
from shelfwire.web.access import Access, Caller
from shelfwire.web.credentials import bearer, job_id_of
from shelfwire.web.openapi_annotations import (
    API_KEY,
    BINARY,
    CREATING,
    ENRICH,
    FORM_TYPE,
    GEMINI_WISH,
    IDEMPOTENCY_KEY,
    JSON_TYPE,
    LOCATION,
    OWN_ID,
    OWNER,
    TOKEN,
    form,
    operation,
    refusals,
)
from shelfwire.web.responses import Success, success
from shelfwire.web.root_path import root_of
from shelfwire.web.schemas import CreatedJob, created_of
from shelfwire.web.uploads import (
    JOB_ID,
    Form,
    Intake,
    Received,
    Write,
    bounded,
    parsed,
    receive_form,
    too_large,
)

REQUEST: Final = "request"
"""The name of the input that a JSON body becomes."""
WISHES: Final = frozenset({WISH_INPUT, ENRICH_INPUT})
"""Inputs that say how to work, and not on what."""
MAX_VALUES: Final = 300_000
"""More would hold up everybody's messages while they are parsed: a value takes about a microsecond."""
VALUE_MARKS: Final = (b",", b"[", b"{")
MAX_KEY_CHARS: Final = 255
FOLLOW_IT: Final = "The job has started. Follow it with the token."

HttpRequest = Request[Any, Any, Any]


@post(
    "/api/import/csv-gemini",
    status_code=202,
    request_max_body_size=None,
    security=API_KEY,
    responses=refusals(*CREATING),
    response_headers=[LOCATION],
    operation_class=operation(
        body={FORM_TYPE: form(file=BINARY, jobId=OWN_ID, gemini=GEMINI_WISH)},
        headers=[IDEMPOTENCY_KEY, ENRICH],
    ),
)
async def import_csv(
    request: HttpRequest,
    service: NamedDependency[JobService],
    settings: NamedDependency[Settings],
    access: NamedDependency[Access],
) -> Response[Success[CreatedJob]]:
    """Start the import of a CSV file, sent as the form field `file`."""
    caller = access.admit_creation(request)
    async with service.upload() as upload:
        form = await form_of(request, settings, upload.write, Intake(settings.max_upload, "file", texts=(WISH_INPUT,)))
        form = await enriched(await _with_wish(form, settings, upload), request, upload)
        return await create(request, service, caller, upload, "csv_import", form)


@post(
    "/api/pipelines/{pipeline:str}/jobs",
    status_code=202,
    request_max_body_size=None,
    security=API_KEY,
    responses=refusals(*CREATING, Code.NOT_FOUND),
    response_headers=[LOCATION],
    operation_class=operation(
        body={FORM_TYPE: form(file=BINARY, jobId=OWN_ID), JSON_TYPE: OpenAPIMediaType(schema=Schema())},
        headers=[IDEMPOTENCY_KEY],
    ),
)
async def create_job(
    request: HttpRequest,
    pipeline: FromPath[str],
    service: NamedDependency[JobService],
    settings: NamedDependency[Settings],
    access: NamedDependency[Access],
) -> Response[Success[CreatedJob]]:
    """Start a job of any pipeline: each field of a form is an input of its name, a JSON body the input `request`."""
    caller = access.admit_creation(request)
    service.check_pipeline(pipeline)
    async with service.upload() as upload:
        if content_type(request) == JSON_TYPE:
            form = await json_of(request, service, settings, upload, pipeline)
        else:
            form = await form_of(request, settings, upload.write, Intake(settings.max_upload))
        return await create(request, service, caller, upload, pipeline, form)


@post(
    "/api/jobs/{job_id:str}/retry",
    status_code=202,
    security=TOKEN,
    responses=refusals(*OWNER, Code.JOB_STATE, Code.IDEMPOTENCY_MISMATCH, Code.RATE_LIMITED),
    response_headers=[LOCATION],
    operation_class=operation(headers=[IDEMPOTENCY_KEY]),
)
async def retry(
    request: HttpRequest,
    job_id: FromPath[str],
    service: NamedDependency[JobService],
    access: NamedDependency[Access],
) -> Response[Success[CreatedJob]]:
    """Start a new job over the failed and unrecorded items of an ended one."""
    owner = await service.authorize(job_id, bearer(request.headers), Scope.CONTROL)
    source_id = owner.job_id
    # Its token is what tells the owner of a job from others, so keys are the job's own.
    caller = access.admit_retry(request)._replace(key=source_id)
    token = await service.retry(source_id, owner, _idempotency(request, caller, ["retry", source_id]))
    return _created(request, service, created_of(token, FOLLOW_IT, retry_of=source_id))


async def create(
    request: HttpRequest,
    service: JobService,
    caller: Caller,
    upload: Upload,
    pipeline: str,
    form: Form,
    photos: int | None = None,
) -> Response[Success[CreatedJob]]:
    """Make the job that a request asks for, and answer with its token.

    Args:
        request: the request.
        service: makes it.
        caller: who asks.
        upload: its inputs.
        pipeline: its kind.
        form: what the inputs are, and the id that is wanted.
        photos: how many of them are photos, where that is what they are.

    Raises:
        ShelfwireError: as `JobService.create`, or `E_INVALID_REQUEST`.
    """
    wanted = None if form.job_id is None else job_id_of(form.job_id)
    digests = {name: received.digest.hex() for name, received in sorted(form.inputs.items())}
    token = await service.create(
        upload,
        pipeline,
        _metadata(form.inputs, photos),
        job_id=wanted,
        idempotency=_idempotency(request, caller, [pipeline, wanted, digests]),
    )
    return _created(request, service, created_of(token, FOLLOW_IT, total_photos=photos, total_count=form.total))


def content_type(request: HttpRequest) -> str:
    """The type of a request's body, without its parameters; empty if it is not said."""
    kind: str = parse_options_header(request.headers.get("content-type", ""))[0]
    return kind


async def form_of(request: HttpRequest, settings: Settings, write: Write, intake: Intake) -> Form:
    """Read a form; see `receive_form`."""
    return await receive_form(
        request.stream(),
        content_type=request.headers.get("content-type", ""),
        content_length=_length(request),
        intake=intake,
        timeout=settings.upload_timeout,
        write=write,
    )


def chunks_of(request: HttpRequest, settings: Settings, limit: int) -> AsyncIterator[bytes]:
    """Iterate over a body; see `bounded`, and see yourself that it is not a little over `limit`."""
    return bounded(request.stream(), _length(request), limit, settings.upload_timeout)


async def body_of(request: HttpRequest, settings: Settings, limit: int) -> bytes:
    """Read a body of `limit` bytes at most.

    Raises:
        ShelfwireError: as `bounded`.
    """
    body = bytearray()
    async for chunk in chunks_of(request, settings, limit):
        body += chunk
    if len(body) > limit:
        raise too_large(limit)
    return bytes(body)


async def json_of(request: HttpRequest, service: JobService, settings: Settings, upload: Upload, pipeline: str) -> Form:
    """Read a body of JSON, which becomes the input `request`.

    Raises:
        ShelfwireError: as `body_of`; `E_INVALID_REQUEST`; what the pipeline says of it.
    """
    body = await body_of(request, settings, settings.max_upload)
    if sum(map(body.count, VALUE_MARKS)) > MAX_VALUES:
        raise ShelfwireError(
            Code.INVALID_REQUEST, f"The body has far more than {MAX_VALUES:,} values. Send it in parts"
        )
    content: Any = parsed(body)
    job_id = content.get(JOB_ID) if isinstance(content, dict) else None
    if job_id is not None and not isinstance(job_id, str):
        raise ShelfwireError(Code.INVALID_REQUEST, f"{JOB_ID} must be a UUID in a string")
    total = service.check_request(pipeline, body)
    await upload.write(REQUEST, body)
    # Of what was parsed: the same request may come back with its members in another order.
    digest = hashlib.sha256(msgspec.json.encode(content, order="deterministic")).digest()
    return Form({REQUEST: Received(None, len(body), digest)}, job_id, total=total)


async def enriched(form: Form, request: HttpRequest, upload: Upload) -> Form:
    """Make an input of the wish that a query brings, `enrich=true`, if it brings one.

    Raises:
        ShelfwireError: `E_INVALID_REQUEST`.
    """
    text = request.query_params.get(ENRICH_INPUT, "false")
    if text not in {"true", "false"}:
        raise ShelfwireError(Code.INVALID_REQUEST, f"{ENRICH_INPUT} must be true or false")
    return form if text == "false" else await _with_input(form, upload, ENRICH_INPUT, WISHED)


async def _with_input(form: Form, upload: Upload, name: str, data: bytes) -> Form:
    await upload.write(name, data)
    received = Received(None, len(data), hashlib.sha256(data).digest())
    return form._replace(inputs={**form.inputs, name: received})


async def _with_wish(form: Form, settings: Settings, upload: Upload) -> Form:
    """Make an input of the wish that a form brings, if it brings one."""
    text = form.texts.get(WISH_INPUT)
    if text is None:
        return form
    if text not in list(GeminiUse):
        raise ShelfwireError(
            Code.INVALID_REQUEST, f"The form field {WISH_INPUT} must be one of: {', '.join(GeminiUse)}"
        )
    if text == GeminiUse.ALWAYS and settings.section(BookSettings).gemini_api_key is None:
        raise ShelfwireError(Code.INVALID_REQUEST, NO_KEY, user_message=NO_KEY_FOR_A_PERSON)
    return await _with_input(form, upload, WISH_INPUT, text.encode())


def _metadata(inputs: Mapping[str, Received], photos: int | None) -> Metadata:
    content = {name: received for name, received in inputs.items() if name not in WISHES} or inputs
    files = [received for received in content.values() if received.file_name is not None] or list(content.values())
    size = sum(received.size for received in files)
    return Metadata(file_name=files[0].file_name, file_size=size, photo_count=photos)


def _created(request: HttpRequest, service: JobService, created: CreatedJob) -> Response[Success[CreatedJob]]:
    return Response(
        success(created, service.now()), headers={"Location": f"{root_of(request.scope)}{created.links.self}"}
    )


def _idempotency(request: HttpRequest, caller: Caller, asked_for: list[Any]) -> Idempotency | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= MAX_KEY_CHARS or not key.isascii() or not key.isprintable():
        raise ShelfwireError(
            Code.INVALID_REQUEST, f"The Idempotency-Key must be 1 to {MAX_KEY_CHARS} printable ASCII characters"
        )
    return Idempotency(key=_digest([caller.key, key]), fingerprint=_digest(asked_for))


def _digest(value: Any) -> bytes:
    return hashlib.sha256(msgspec.json.encode(value)).digest()


def _length(request: HttpRequest) -> int | None:
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdecimal() else None
