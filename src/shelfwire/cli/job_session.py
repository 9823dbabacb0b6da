"""Follows one job to its ending: started here or known already, on a server or in this process."""

import asyncio
import contextlib
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Generic, NamedTuple

import msgspec

from shelfwire.cli.connect import KEY_VARIABLE, C, JobLocation, Session
from shelfwire.cli.errors import OF_STATUS, CommandError, Exit
from shelfwire.cli.extensions import labels_of, table_of
from shelfwire.cli.jobs_file import Ended, JobsFile, KnownJob
from shelfwire.cli.progress_summary import Ending, ProgressSummary, clean, failure_of
from shelfwire.cli.running import written
from shelfwire.cli.show import Output, choose
from shelfwire.client import Client, ConnectionLostError, JobHandle, RefusedError
from shelfwire.clock import SystemClock
from shelfwire.errors import Code
from shelfwire.plugins import Labels
from shelfwire.protocol.job import ENDED, Status
from shelfwire.protocol.messages import JobComplete, JobError, Message

LAST_WORD_SECONDS: Final = 2.0
"""How long an interrupted upload may take to say which job it has become."""
LARGE: Final = 64 * 1024 * 1024
"""Bytes that a server reads before it refuses, so that its answer arrives; after that it may hang up."""
ACCESS: Final = frozenset({Code.UNAUTHORIZED, Code.TOKEN_EXPIRED, Code.FORBIDDEN})


def warn(text: str) -> None:
    """Tell the person at the terminal, beside the output."""
    sys.stderr.write(f"shelfwire: {clean(text)}\n")
    sys.stderr.flush()


class NewJob(NamedTuple, Generic[C]):
    """A job that is to be started.

    Attributes:
        file: what it works on, for a person.
        pipeline: its kind.
        send: asks for it, with an idempotency key.
        size: how many bytes there are to send.
    """

    file: str
    pipeline: str
    send: Callable[[C, str], Awaitable[JobHandle]]
    size: int = 0


class _MovedError(Exception):
    """The server has left the data folder: the job is at another one, or waits for us."""


class JobSession(Generic[C]):
    """One command's stay with one job.

    Args:
        place: where the job lives.
        jobs_file: where it is remembered.
        as_json: whether to show it as JSON.
        client_class: see `Session`.

    Attributes:
        results: the inline results, once the job is complete.
    """

    def __init__(
        self,
        place: JobLocation,
        jobs_file: JobsFile,
        *,
        as_json: bool,
        client_class: type[C] = Client,  # type: ignore[assignment] # the default of the type variable
    ) -> None:
        self._session = Session(place, client_class=client_class)
        self._jobs_file = jobs_file
        self._as_json = as_json
        self._entry: KnownJob | None = None
        self._summary: ProgressSummary | None = None
        self.results: Any = None

    async def start(self, new_job: NewJob[C]) -> tuple[KnownJob, Exit]:
        """Start a job, follow it to its ending, and return it with how it ended.

        Raises:
            CommandError: it cannot be started or followed.
        """
        async with self._stay(new_job.file, labels_of(new_job.pipeline)):
            entry = await self._begin(new_job)
            exit_code = await self._follow(entry)
        return self._entry or entry, exit_code

    async def watch(self, entry: KnownJob) -> Exit:
        """Follow a known job to its ending.

        Raises:
            CommandError: it cannot be followed.
        """
        self._entry = entry
        async with self._stay(entry.file, entry.labels):
            return await self._follow(entry)

    async def resume(self, entry: KnownJob) -> Exit:
        """Let a paused job go on, and follow it to its ending.

        Raises:
            CommandError: it cannot be resumed or followed.
        """
        self._entry = entry
        async with self._stay(entry.file, entry.labels):
            await self._session.client.resume(entry.ref)
            return await self._follow(entry)

    async def retry(self, entry: KnownJob) -> Exit:
        """Start a new job over what an ended one left undone, and follow it to its ending.

        Raises:
            CommandError: there is nothing to retry, or it cannot be followed.
        """
        self._entry = entry
        key = secrets.token_urlsafe()
        async with self._stay(entry.file, entry.labels):
            await self._session.ask(lambda client: _check_retry(client, entry))
            job = await self._session.ask(lambda client: client.retry(entry.ref, idempotency_key=key))
            return await self._follow(self._remember(job, entry.file, entry.pipeline))

    @contextlib.asynccontextmanager
    async def _stay(self, file: str, labels: Labels) -> AsyncIterator[None]:
        try:
            async with self._session:
                yield
        except asyncio.CancelledError:
            self._report_interrupted(file, labels)
            raise
        except RefusedError as error:
            raise refusal(error, file, self._entry, labels, local=self._session.place.data is not None) from None

    async def _begin(self, new_job: NewJob[C]) -> KnownJob:
        key = secrets.token_urlsafe()  # one for all servers that are asked: an answer may get lost between them
        sending = self._session.ask(lambda client: new_job.send(client, key))
        creating = asyncio.ensure_future(sending)
        try:
            return self._remember(await asyncio.shield(creating), new_job.file, new_job.pipeline)
        except asyncio.CancelledError:
            await asyncio.wait({creating}, timeout=LAST_WORD_SECONDS)
            if creating.done() and not creating.exception():
                self._remember(creating.result(), new_job.file, new_job.pipeline)
            creating.cancel()
            raise
        except ConnectionLostError as error:
            if new_job.size < LARGE:
                raise
            raise CommandError(
                f"{new_job.file} could not be sent ({error.message}). These are {new_job.size:,} bytes, and a server "
                "may hang up on what is far beyond its limit. Split it and send the parts one by one",
                Exit.UNREACHABLE,
            ) from None
        except OSError as error:
            raise CommandError(f"{error.filename or new_job.file} cannot be read: {error.strerror}") from None

    def _remember(self, job: JobHandle, file: str, pipeline: str) -> KnownJob:
        server, data = self._session.place
        self._entry = KnownJob(
            job_id=job.job_id,
            token=job.token,
            file=file,
            created=SystemClock().now(),
            server=server,
            data=None if data is None else str(data),
            expires=job.expires_at,
            pipeline=pipeline,
        )
        self._jobs_file.put(self._entry)
        return self._entry

    def _keep_token(self, job: JobHandle) -> None:
        if self._entry is not None:
            self._entry = msgspec.structs.replace(self._entry, token=job.token, expires=job.expires_at)
            self._jobs_file.put(self._entry)

    async def _follow(self, entry: KnownJob) -> Exit:
        output = choose(entry.file, entry.short, entry.labels, as_json=self._as_json)
        self._summary = output.summary
        with output:
            last = await self._messages(entry, output)
        entry = self._entry or entry  # with the token that is valid now
        try:
            ending = await self._session.ask(lambda client: _ending(client, entry, last))
        except RefusedError as error:
            if error.code not in ACCESS:
                raise
            raise _deleted(entry, last) from None
        await written(lambda: output.end(ending))
        if isinstance(last.payload, JobComplete):
            self.results = last.payload.results
            table = table_of(entry.pipeline, self.results)
            if table is not None:
                await written(lambda: output.results(table))
        self._jobs_file.put(with_ending(entry, ending.status, ending.success_count, ending.failure_count))
        return OF_STATUS[Status(ending.status)]

    async def _messages(self, entry: KnownJob, output: Output) -> Message:
        def wait(seconds: float) -> None:
            output.waiting(seconds)
            if self._session.movable:
                raise _MovedError

        last: Message | None = None
        while last is None or not last.terminal:
            with contextlib.suppress(_MovedError):
                ref = (self._entry or entry).ref
                async for last in self._session.client.follow(ref, wait, on_token=self._keep_token):
                    await written(partial(output.message, last))
                continue
            await self._session.again()
        return last

    def _report_interrupted(self, file: str, labels: Labels) -> None:
        entry, position = self._entry, "" if self._summary is None else self._summary.position
        at = f" at {position}" if position else ""
        if entry is None:
            warn(f"Interrupted before the {labels.noun} of {file} had started. Start it again")
        elif self._session.own:
            warn(f"Interrupted{at}. Nothing is lost; continue: shelfwire watch {entry.short}")
        else:
            warn(f"Stopped watching{at}. The {labels.noun} goes on; come back: shelfwire watch {entry.short}")


def with_ending(entry: KnownJob, status: str, succeeded: int, failed: int) -> KnownJob:
    """What is known of a job once its ending was seen."""
    return msgspec.structs.replace(entry, ended=Ended(status=status, succeeded=succeeded, failed=failed))


async def _check_retry(client: Client, entry: KnownJob) -> None:
    """Check that some item of an ended job may succeed if it is tried again.

    Raises:
        CommandError: none can.
    """
    state = await client.state(entry.ref)
    failed = state["failureCount"]
    if Status(state["status"]) not in ENDED or not failed or state["processedCount"] < (state["totalCount"] or 0):
        return
    async with aclosing(client.results(entry.ref, status="failed")) as items:
        async for item in items:
            if item["error"].get("retryable", True):
                return
    labels = entry.labels
    what = f"the {labels.counted(failed)} that failed" if failed > 1 else f"the {labels.item} that failed"
    look = f"shelfwire results {entry.short} --failed"
    mend = f"Correct them: {look} --original --output failed.csv; then import that file"
    raise CommandError(
        f"{entry.file}: trying again would not help {what}: the reason is in the input. "
        f"{mend if labels.original else f'See it: {look}'}",
        Exit.UNREACHABLE,
    )


def refusal(
    error: RefusedError, file: str, entry: KnownJob | None, labels: Labels, *, local: bool = False
) -> CommandError:
    """Return the error that tells a person why a server refused or cannot be reached, and what to do next.

    Args:
        error: the refusal.
        file: what it was about.
        entry: the job, if there is one.
        labels: the words for its pipeline.
        local: whether the server works in a folder of this person's own machine, who is its operator then.
    """
    back = "" if entry is None else f" Come back later: shelfwire watch {entry.short}"
    if isinstance(error, ConnectionLostError) and error.idempotency_key is not None:
        text = (
            f"{file}: the connection was lost, and it is not known whether the {labels.noun} was started "
            f"({error.message}). Send it again; at worst it is done twice"
        )
    elif isinstance(error, ConnectionLostError) and entry is None:
        text = f"{file} could not be sent: {error.message}. Send it again"
    elif isinstance(error, ConnectionLostError) and entry is not None:
        text = f"{file}: the connection to {entry.where} was lost ({error.message}). A started job goes on there.{back}"
    elif error.code in ACCESS and entry is not None:
        text = (
            f"{file}: {entry.where} does not know job {entry.short} any more, or not this way in: it has expired, "
            f"or another server runs there now. {labels.again}"
        )
    elif error.code == Code.UNAUTHORIZED:
        text = f"{file}: {error.user_message} Then set it as {KEY_VARIABLE}"
    elif local and error.status == HTTPStatus.NOT_IMPLEMENTED:
        text = f"{file}: {error.message}"
    else:
        text = f"{file}: {error.user_message} ({error.message})"
    return CommandError(text, Exit.UNREACHABLE)


def _deleted(entry: KnownJob, last: Message) -> CommandError:
    """What to say of a job that ended before our eyes and then denied access."""
    text = f"{entry.file}: job {entry.short} was deleted with all that was kept of it. {entry.labels.again}, if need be"
    return CommandError(text, Exit.UNREACHABLE if isinstance(last.payload, JobComplete) else Exit.CANCELED)


async def _ending(client: Client, entry: KnownJob, last: Message) -> Ending:
    state = await client.state(entry.ref)
    payload = last.payload
    failures = []
    if state["failureCount"]:
        failures = [failure_of(item) async for item in client.results(entry.ref, status="failed")]
    return Ending(
        job_id=entry.job_id,
        file=entry.file,
        status=state["status"],
        success_count=state["successCount"],
        failure_count=state["failureCount"],
        duration=payload.duration if isinstance(payload, JobComplete) else None,
        summary=payload.user_message if isinstance(payload, JobError) else state.get("summary", ""),
        code=payload.code if isinstance(payload, JobError) else None,
        failures=failures,
    )
