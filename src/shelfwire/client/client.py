"""The client of a server: starts jobs, follows and controls them, reads their results."""

import secrets
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, Unpack
from urllib.parse import parse_qs, quote, urlsplit
from weakref import WeakSet

import msgspec

from shelfwire.client.errors import ConnectionLostError, data_of, read, refusal
from shelfwire.client.following import Following
from shelfwire.client.handle import JobHandle, created_in, token_in
from shelfwire.client.http import (
    HttpClient,
    NetworkError,
    Request,
    Response,
    Upload,
    header_value,
    key_header,
)
from shelfwire.client.http_client import NetworkHttpClient
from shelfwire.client.repeating import send_until_answered
from shelfwire.client.reporting.async_reporter import AsyncReporter
from shelfwire.client.reporting.attempt import Plan, ReportOptions
from shelfwire.client.reporting.base import Connection
from shelfwire.client.reporting.heartbeat import HeartbeatThread
from shelfwire.client.server_time import ServerTime
from shelfwire.client.subscription import ClientConfig, Subscription
from shelfwire.clock import Clock, SystemClock, uniform
from shelfwire.protocol.reconnect import DELAYS, Transport
from shelfwire.protocol.tokens import Scope

MAX_PAGE: Final = 1000
EXPORTS: Final = {"csv": "text/csv", "ndjson": "application/x-ndjson"}

File = Path | str | Upload
"""A file to send: on disk or in memory."""


class Client:
    """A connection to one server. Use it as an asynchronous context manager.

    Args:
        url: the server's, such as `http://127.0.0.1:8787`.
        api_key: permits creating jobs, on a server that requires one. A secret.
        transports: the transports to follow jobs by, in the order in which they are tried; a single name pins it.
        http: the connection to the server, such as `shelfwire.client.testing.FakeServer`; by default the network.
        clock: the source of the time.
        delays: seconds before each attempt to reconnect; by default those of the contract.
        random_fraction: returns fractions in [0, 1), which shorten the delays.

    Raises:
        ValueError: the URL cannot be a server's, or the key cannot be one.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8787",
        *,
        api_key: str | None = None,
        transports: Sequence[str] = tuple(Transport),
        http: HttpClient | None = None,
        clock: Clock | None = None,
        delays: tuple[float, ...] = DELAYS,
        random_fraction: Callable[[], float] = uniform,
    ) -> None:
        self._url = url.rstrip("/")
        self._key_header = key_header(api_key)
        self._http = NetworkHttpClient(self._url) if http is None else http
        allowed = tuple(Transport(name) for name in transports)
        clock = clock or SystemClock()
        self._server_time = ServerTime(clock)
        self._config = ClientConfig(self._http, clock, random_fraction, delays, allowed, self._server_time)
        self._subscriptions: WeakSet[Subscription] = WeakSet()
        self._heartbeat = HeartbeatThread(partial(NetworkHttpClient, self._url), clock) if http is None else None
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections. Jobs go on."""
        self._closed = True
        for subscription in tuple(self._subscriptions):
            await subscription.aclose()
        if self._heartbeat is not None:
            await self._heartbeat.aclose()
        await self._http.aclose()

    async def start(
        self,
        pipeline: str,
        *,
        file: File | None = None,
        files: Mapping[str, File] | None = None,
        json: Any = None,
        options: Mapping[str, str | float | bool] | None = None,
        job_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> JobHandle:
        """Start a job of any pipeline. A request whose answer is lost is sent again, and makes no second job.

        Args:
            pipeline: its name.
            file: an input, sent as the form field `file`.
            files: more inputs, by form field.
            json: the input, an object of JSON, for pipelines that take no file; not together with files.
            options: options of the pipeline, by name.
            job_id: see `create`; so are the errors.
            idempotency_key: see `create`.
        """
        inputs = {**({} if file is None else {"file": file}), **(files or {})}
        path = f"/api/pipelines/{quote(pipeline, safe='')}/jobs"
        return await self.create(
            path,
            files=inputs.items(),
            params={name: _text_of(value) for name, value in (options or {}).items()},
            json=json,
            job_id=job_id,
            idempotency_key=idempotency_key,
        )

    async def create(
        self,
        path: str,
        *,
        files: Iterable[tuple[str, File]] = (),
        fields: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        job_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> JobHandle:
        """Start a job with a POST to any route that makes one. A request whose answer is lost is sent again.

        The methods with which a plug-in extends this class are written with it; see `shelfwire.books.client`. `start`
        does the same for a pipeline that has no route of its own.

        Args:
            path: the route, below the server's URL, without a query.
            files: the inputs, each with its form field; a field may have several.
            fields: text fields of the same form.
            params: the query; it must hold no secret.
            json: the input as JSON, for a route that takes no form.
            job_id: a UUID of the caller's own choice.
            idempotency_key: identifies this request for as long as the caller may repeat it; the same key and input
                mean the same job. It must be unguessable. Without one, a new one covers this call.

        Raises:
            OSError: a file cannot be read.
            ValueError: there are both a form and JSON, a `job_id` without any of them, a query in the path, or a key
                that cannot be sent.
            RefusedError: the server, or a proxy before it, rejects it; `retry_after` says when to try again.
            ConnectionLostError: the server cannot be reached. Where it is not known whether a job was started, the
                error has the `idempotency_key` to call this again with.
        """
        if "?" in path or "#" in path:
            raise ValueError(f"{path!r} is more than a path: what follows a ? goes into params")
        parts = [(field, Path(file) if isinstance(file, str) else file) for field, file in files]
        form = dict(fields or {})
        if (parts or form) and json is not None:
            raise ValueError("The input of a job is files or JSON, not both")
        if job_id is not None and (parts or form):
            form["jobId"] = job_id
        elif job_id is not None:
            if not isinstance(json, Mapping):
                raise ValueError("A job_id goes with files, or with JSON that is an object")
            json = {**json, "jobId": job_id}
        request = Request(method="POST", path=path, params=params or {}, json=json, files=parts, fields=form)
        return await self._create(request, idempotency_key)

    async def state(self, job: JobHandle) -> dict[str, Any]:
        """Return a job's state, as section 4 of the contract has it.

        Raises:
            RefusedError: the token does not permit it.
            ConnectionLostError: the server cannot be reached.
        """
        return await self._state("GET", job)

    async def pause(self, job: JobHandle) -> dict[str, Any]:
        """Request that a job stop until `resume`, and return its state. Errors as in `cancel`."""
        return await self._state("POST", job, "/pause")

    async def resume(self, job: JobHandle) -> dict[str, Any]:
        """Let a paused job go on, and return its state. Errors as in `cancel`."""
        return await self._state("POST", job, "/resume")

    async def cancel(self, job: JobHandle) -> dict[str, Any]:
        """Request that a job stop for good, and return its state.

        Raises:
            RefusedError: the job's state forbids it (409), or the token does not permit it.
            ConnectionLostError: the server cannot be reached.
        """
        return await self._state("POST", job, "/cancel")

    async def retry(
        self,
        job: JobHandle,
        *,
        items: Sequence[Mapping[str, Any]] = (),
        only_items: bool = False,
        idempotency_key: str | None = None,
    ) -> JobHandle:
        """Start a new job over the failed and unrecorded items of an ended one.

        Args:
            job: the ended job.
            items: items that are mended: each its `index` and what its pipeline takes, such as
                `{"index": 17, "cells": {"Title": "Dune"}}` for a list of books.
            only_items: whether these alone are tried.
            idempotency_key: recognises a repeated request.

        Raises:
            RefusedError: the job has not ended, nothing is left to retry, or the token does not permit it.
            ConnectionLostError: the server cannot be reached.
        """
        body = {"items": list(items), **({"only": "given"} if only_items else {})} if items else None
        request = Request(method="POST", path=job.path("/retry"), headers=job.bearer, json=body)
        return await self._create(request, idempotency_key)

    async def delete(self, job: JobHandle) -> None:
        """End a job if it has not ended, and erase all its data, tokens included. Errors as in `cancel`."""
        data_of(await self._of_job("DELETE", job))

    async def results(
        self, job: JobHandle, *, status: str | None = None, corrected: bool = False
    ) -> AsyncGenerator[dict[str, Any]]:
        """Iterate over the items that are recorded now, in the order of the input.

        Args:
            job: the job.
            status: only `ok` or only `failed` items.
            corrected: whether what was corrected is applied.

        Raises:
            RefusedError: the token does not permit it.
            ConnectionLostError: the server cannot be reached.
        """
        async for page in self._pages(job, status, "application/json", corrected=corrected):
            for item in data_of(page)["items"]:
                yield item

    async def export(
        self,
        job: JobHandle,
        *,
        kind: Literal["csv", "ndjson"] = "csv",
        status: str | None = None,
        original: bool = False,
        corrected: bool = False,
    ) -> AsyncGenerator[bytes]:
        """Iterate over the parts of one file with the items that are recorded now, in UTF-8.

        Args:
            job: the job.
            kind: `csv` for a table that is safe to open in a spreadsheet, `ndjson` for one JSON document per line.
            status: only `ok` or only `failed` items.
            original: the failed items alone, as they stood in the table that was sent, with the reason in an added
                column; always as CSV.
            corrected: whether what was corrected is applied.

        Raises:
            RefusedError: the token does not permit it.
            ConnectionLostError: the server cannot be reached.
        """
        header = b""
        async for page in self._pages(job, status, EXPORTS[kind], original=original, corrected=corrected):
            yield page.body.removeprefix(header)
            if kind == "csv":  # every page of a table begins with the header
                header, newline, _ = page.body.partition(b"\r\n")
                header += newline

    async def corrections(self, job: JobHandle) -> list[dict[str, Any]]:
        """Return what was corrected of a job's items, each with its `index`. Errors as in `state`."""
        found: list[dict[str, Any]] = data_of(await self._of_job("GET", job, "/corrections"))["corrections"]
        return found

    async def correct(self, job: JobHandle, index: int, corrections: Sequence[Mapping[str, Any]]) -> None:
        """Replace what was corrected of an item; the job and its results stay as they are.

        Args:
            job: the job.
            index: the item.
            corrections: of what its pipeline takes, such as `{"book": 0, "title": "Dune"}` for books; none take back
                what there is.

        Raises:
            RefusedError: the pipeline takes none of this form, or the token does not permit it.
            ConnectionLostError: the server cannot be reached.
        """
        path, body = job.path(f"/corrections/{index}"), {"corrections": list(corrections)}
        data_of(await self._request(Request(method="PUT", path=path, headers=job.bearer, json=body)))

    async def new_token(self, job: JobHandle, *, scopes: Sequence[str], expires_in: int | None = None) -> JobHandle:
        """Create another token for a job, for a holder with fewer rights.

        Args:
            job: the job.
            scopes: some of `watch`, `control` and `results`, none that this token lacks.
            expires_in: seconds; at most until this token expires, which is the default.

        Raises:
            RefusedError: the token does not permit it.
            ConnectionLostError: the server cannot be reached.
        """
        return await self._token(job, {"scopes": [Scope(scope) for scope in scopes]}, expires_in)

    async def rotate(self, job: JobHandle, *, expires_in: int | None = None) -> JobHandle:
        """Replace a token by a new one; the old one is valid for another minute. Errors as in `new_token`."""
        return await self._token(job, {}, expires_in)

    async def revoke(self, job: JobHandle) -> None:
        """Revoke a token, and close every connection made with it. Errors as in `state`."""
        data_of(await self._of_job("DELETE", job, "/token"))

    def follow(
        self,
        job: JobHandle,
        on_wait: Callable[[float], None] = lambda _: None,
        *,
        on_token: Callable[[JobHandle], object] = lambda _: None,
    ) -> Following:
        """Follow a job until it ends, whatever happens to the connection.

        Iterate over what this returns. Messages older than what was yielded are dropped, and leaving the iteration
        leaves the job alone.

        Args:
            job: the job.
            on_wait: receives the seconds until the next attempt to reconnect.
            on_token: receives the token that replaces one about to expire, to be kept; may be a coroutine function.

        Raises:
            RuntimeError: the client is closed.
        """
        if self._closed:
            raise RuntimeError("The client is closed. Make another one")
        subscription = Subscription(self._config, job, self.rotate, on_wait, on_token)
        self._subscriptions.add(subscription)
        return Following(subscription)

    def report(self, pipeline: str, **options: Unpack[ReportOptions]) -> AsyncReporter:
        """Report a job that is worked on here: `async with client.report("pdf_report", total=3) as job:`.

        Entering makes the job, or claims it where there is one of this id already: so a task that is tried again goes
        on with the same job. The lease is renewed as long as the block runs.

        Args:
            pipeline: the name of the kind of job; none that the server runs itself.
            options: see `ReportOptions`.

        Raises:
            Busy: on entering: another worker holds the job and lives. Leave the job to it.
            JobEnded: on entering: the job has ended already.
            Stopped: on entering: the job is paused.
            RefusedError: on entering: the server refuses it, as for want of a key of the role `work`.
            ConnectionLostError: on entering: the server cannot be reached for 30 seconds.
        """
        return AsyncReporter(self._reporting(), Plan(pipeline=pipeline, **options))

    def _reporting(self) -> Connection:
        """Return what reporters and workers use of this client."""
        config = self._config
        return Connection(self._http, self._key_header, config.clock, self._heartbeat, config.random_fraction)

    async def _create(self, request: Request, key: str | None) -> JobHandle:
        key = header_value(key or secrets.token_urlsafe(), "The idempotency key")
        headers = {**request.headers, **self._key_header, "Idempotency-Key": key}
        request = msgspec.structs.replace(request, headers=headers)
        answer = await send_until_answered(self._config, request, key)
        self._server_time.learn(answer)
        return created_in(answer)

    async def _token(self, job: JobHandle, body: dict[str, Any], expires_in: int | None) -> JobHandle:
        if expires_in is not None:
            body = {**body, "expiresIn": expires_in}
        request = Request(method="POST", path=job.path("/token"), headers=job.bearer, json=body)
        answer = await self._request(request)
        self._server_time.learn(answer)
        return token_in(answer, job)

    async def _pages(
        self, job: JobHandle, status: str | None, accept: str, *, original: bool = False, corrected: bool = False
    ) -> AsyncGenerator[Response]:
        params = {"limit": str(MAX_PAGE)} | ({} if status is None else {"status": status})
        params |= {"corrected": "1"} if corrected else {}
        params |= {"original": "true"} if original else {}
        headers = {**job.bearer, "Accept": accept}
        while True:
            page = await self._request(Request(method="GET", path=job.path("/results"), headers=headers, params=params))
            if not page.good:
                raise refusal(page)
            yield page
            cursor = _cursor_in(page.headers.get("link", ""))
            if cursor is None or cursor == params.get("cursor"):
                return
            params = params | {"cursor": cursor}

    async def _state(self, method: str, job: JobHandle, below: str = "") -> dict[str, Any]:
        return read(await self._of_job(method, job, below), dict[str, Any])

    async def _of_job(self, method: str, job: JobHandle, below: str = "") -> Response:
        return await self._request(Request(method=method, path=job.path(below), headers=job.bearer))

    async def _request(self, request: Request) -> Response:
        try:
            return await self._http.request(request)
        except NetworkError as error:
            raise ConnectionLostError(f"{self._url} cannot be reached: {error}") from error


def _text_of(value: str | float | bool) -> str:  # noqa: FBT001 - the value of an option
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cursor_in(link: str) -> str | None:
    """The cursor of the next page in a `Link` header."""
    target, _, relation = link.removeprefix("<").partition(">")
    return parse_qs(urlsplit(target).query).get("cursor", [None])[0] if "next" in relation else None
