"""The routes that make jobs. Each turns a request into inputs and goes through `_create`."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from litestar import Request, Response, post
from litestar.di import NamedDependency
from litestar.openapi.spec import OpenAPIMediaType, Schema
from litestar.params import FromPath
from multipart import parse_options_header

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.service import JobService, Upload
from shelfwire.jobs.store import Idempotency
from shelfwire.protocol.grants import Scope
from shelfwire.protocol.messages import Metadata
from shelfwire.settings import Settings
from shelfwire.web.access import Access, Caller
from shelfwire.web.answers import Success, success
from shelfwire.web.credentials import bearer, job_id_of
from shelfwire.web.describing import (
    API_KEY,
    BINARY,
    CREATING,
    FORM_TYPE,
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
from shelfwire.web.mount import root_of
from shelfwire.web.shapes import CreatedJob, created_of
from shelfwire.web.uploads import JOB_ID, Form, Received, bounded, parsed, receive_form, too_large

REQUEST: Final = "request"
"""The name of the input that a JSON body becomes."""
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
    operation_class=operation(body={FORM_TYPE: form(file=BINARY, jobId=OWN_ID)}, headers=[IDEMPOTENCY_KEY]),
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
        form = await _form(request, settings, upload, "file")
        return await _create(request, service, caller, upload, "csv_import", form)


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
    kind, _ = parse_options_header(request.headers.get("content-type", ""))
    async with service.upload() as upload:
        if kind == "application/json":
            form = await _json(request, settings, upload)
        else:
            form = await _form(request, settings, upload, None)
        return await _create(request, service, caller, upload, pipeline, form)


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


async def _create(
    request: HttpRequest, service: JobService, caller: Caller, upload: Upload, pipeline: str, form: Form
) -> Response[Success[CreatedJob]]:
    wanted = None if form.job_id is None else job_id_of(form.job_id)
    digests = {name: received.digest.hex() for name, received in sorted(form.inputs.items())}
    token = await service.create(
        upload,
        pipeline,
        _metadata(form.inputs),
        job_id=wanted,
        idempotency=_idempotency(request, caller, [pipeline, wanted, digests]),
    )
    return _created(request, service, created_of(token, FOLLOW_IT))


async def _form(request: HttpRequest, settings: Settings, upload: Upload, field: str | None) -> Form:
    return await receive_form(
        request.stream(),
        content_type=request.headers.get("content-type", ""),
        content_length=_length(request),
        field=field,
        limit=settings.max_upload,
        timeout=settings.upload_timeout,
        write=upload.write,
    )


async def _json(request: HttpRequest, settings: Settings, upload: Upload) -> Form:
    body = bytearray()
    async for chunk in bounded(request.stream(), _length(request), settings.max_upload, settings.upload_timeout):
        body += chunk
    if len(body) > settings.max_upload:
        raise too_large(settings.max_upload)
    content: Any = parsed(body)
    job_id = content.get(JOB_ID) if isinstance(content, dict) else None
    if job_id is not None and not isinstance(job_id, str):
        raise ShelfwireError(Code.INVALID_REQUEST, f"{JOB_ID} must be a UUID in a string")
    await upload.write(REQUEST, bytes(body))
    # Of what was parsed: the same request may come back with its members in another order.
    digest = hashlib.sha256(msgspec.json.encode(content, order="deterministic")).digest()
    return Form({REQUEST: Received(None, len(body), digest)}, job_id)


def _metadata(inputs: Mapping[str, Received]) -> Metadata:
    files = [received for received in inputs.values() if received.file_name is not None] or list(inputs.values())
    return Metadata(file_name=files[0].file_name, file_size=sum(received.size for received in files))


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
