"""The HTTP routes of the contract, section 4."""

from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, QueryParameter

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.service import JobService
from shelfwire.jobs.store import Committed, Item
from shelfwire.protocol.grants import Scope
from shelfwire.protocol.messages import JobComplete, Message, Metadata, decode
from shelfwire.settings import Settings
from shelfwire.web.answers import links, success
from shelfwire.web.uploads import receive_file

MAX_INDEX: Final = 2**31
"""No job has so many items; a number beyond 64 bits would be the store's to refuse."""

HttpRequest = Request[Any, Any, Any]


def bearer(header: str | None) -> str | None:
    """The token in an `Authorization` header, if there is one."""
    scheme, _, token = (header or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


@post("/api/import/csv-gemini", status_code=202, request_max_body_size=None)
async def import_csv(
    request: HttpRequest, service: NamedDependency[JobService], settings: NamedDependency[Settings]
) -> Response[dict[str, Any]]:
    """Start the import of a CSV file, sent as the form field `file`."""
    length = request.headers.get("content-length", "")
    async with service.upload() as upload:
        received = await receive_file(
            request.stream(),
            content_type=request.headers.get("content-type", ""),
            content_length=int(length) if length.isdecimal() else None,
            field="file",
            limit=settings.max_upload,
            timeout=settings.upload_timeout,
            write=lambda part: upload.write("file", part),
        )
        metadata = Metadata(file_name=received.file_name, file_size=received.size)
        created = await service.create(upload, "csv_import", metadata)
    data = {
        "success": True,
        "jobId": created.job_id,
        "token": created.token,
        "message": "The import has started. Follow it with the token.",
        "links": links(created.job_id),
    }
    return Response(success(data, service.now()), headers={"Location": f"/api/jobs/{created.job_id}"})


@get("/api/jobs/{job_id:str}")
async def job_state(
    request: HttpRequest, job_id: FromPath[str], service: NamedDependency[JobService]
) -> Response[dict[str, Any]]:
    """Return a job's state now."""
    await service.authorize(job_id, bearer(request.headers.get("authorization")), Scope.WATCH)
    committed = await service.look(job_id)
    return Response(success(_state(committed), service.now()), headers={"ETag": f'"{committed.state.seq}"'})


@post("/api/jobs/{job_id:str}/cancel", status_code=200)
async def cancel(request: HttpRequest, job_id: FromPath[str], service: NamedDependency[JobService]) -> dict[str, Any]:
    """Ask for a job to stop."""
    await service.authorize(job_id, bearer(request.headers.get("authorization")), Scope.CONTROL)
    state = await service.cancel(job_id)
    return success(_state(Committed(state=state)), service.now())


@get("/api/jobs/{job_id:str}/results")
async def results(
    request: HttpRequest,
    job_id: FromPath[str],
    service: NamedDependency[JobService],
    cursor: Annotated[int, QueryParameter(ge=-1, le=MAX_INDEX)] = -1,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
    status: FromQuery[Literal["ok", "failed"] | None] = None,
) -> dict[str, Any]:
    """Return a page of a job's results, in the order of the input."""
    await service.authorize(job_id, bearer(request.headers.get("authorization")), Scope.RESULTS)
    ok = None if status is None else status == "ok"
    page = await service.results(job_id, after=cursor, limit=limit, ok=ok)
    following = None if page.next is None else str(page.next)
    data = {"items": [_item(item) for item in page.items], "next": following, "total": page.total}
    return success(data, service.now())


@get("/health/live")
async def live() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@get("/health/ready")
async def ready(service: NamedDependency[JobService]) -> dict[str, str]:
    """Say that jobs can be taken and run."""
    if not await service.ready():
        raise ShelfwireError(Code.STORAGE_UNAVAILABLE)
    return {"status": "ok"}


def _item(item: Item) -> dict[str, Any]:
    entry: dict[str, Any] = {"index": item.index, "ok": item.ok}
    if item.title is not None:
        entry["title"] = item.title
    if item.ok:
        return {**entry, "result": item.body}
    return {**entry, "error": item.body}


def _inline_results(committed: Committed) -> Any:
    match None if committed.terminal is None else decode(committed.terminal):
        case Message(payload=JobComplete(results=results)):
            return results
        case _:
            return None


def _state(committed: Committed) -> dict[str, Any]:
    state = committed.state
    optional = {
        "currentTitle": state.title,
        "userMessage": state.user_message,
        "etaSeconds": state.eta_seconds,
        "startTime": state.started_at,
        "summary": state.summary,
        "error": None if state.error is None else msgspec.to_builtins(state.error),
        "results": _inline_results(committed),
    }
    return {
        "jobId": state.id,
        "pipeline": state.pipeline,
        "status": state.status,
        "totalCount": state.total or 0,
        "processedCount": state.processed,
        "successCount": state.succeeded,
        "failureCount": state.failed,
        "lastUpdateTime": state.updated_at,
        "seq": state.seq,
        "attempt": state.attempt,
        "expiresAt": state.expires_at,
        "links": links(state.id),
        **{name: value for name, value in optional.items() if value is not None},
    }
