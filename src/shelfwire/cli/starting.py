"""What a plug-in's command needs to start a job: one function."""

import os
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from shelfwire.cli.commands import ask, known_jobs
from shelfwire.cli.connect import C, choose_place
from shelfwire.cli.errors import Exit
from shelfwire.cli.files import check_file
from shelfwire.cli.job_session import JobSession, NewJob
from shelfwire.cli.jobs_file import KnownJob
from shelfwire.cli.progress_summary import clean
from shelfwire.cli.results import OWN_FORMATS, Format, format_for, parts_of, save
from shelfwire.cli.running import run
from shelfwire.client import Client, JobHandle

T = TypeVar("T")


class FinishedJob(NamedTuple):
    """A job that a command has started, after its ending.

    Attributes:
        exit_code: what the command returns.
        results: the inline results if the job is complete, else None.
        known: the job, and the way back to it.
    """

    exit_code: Exit
    results: Any
    known: KnownJob

    def ask(self, work: Callable[[Client, JobHandle], Coroutine[Any, Any, T]]) -> T:
        """Do something more with the job on its server, or in this process where there is none.

        Raises:
            CommandError: the server refuses or cannot be reached.
        """
        return run(ask(self.known, work))

    def save(self, output: Path, form: Format | None = None) -> None:
        """Write what came of each item to a file, whole or not at all.

        Args:
            output: the file.
            form: what to write; what the ending of the file says unless given, or CSV.

        Raises:
            CommandError: the server refuses or cannot be reached, or the file cannot be written.
        """
        parts = parts_of(form or format_for(output, OWN_FORMATS))
        self.ask(lambda client, job: save(client, job, parts, output))


def start_job(
    pipeline: str,
    files: Sequence[Path],
    send: Callable[[C, str], Awaitable[JobHandle]],
    *,
    client_class: type[C] = Client,  # type: ignore[assignment] # the default of the type variable
    what: str = "file",
    server: str | None = None,
    data: Path | None = None,
    json: bool = False,
) -> FinishedJob:
    """Start a job, show how it goes, and return after its ending: what a command that starts jobs does.

    Where there is no server the work is done in this process. The job is remembered for `shelfwire watch`.

    Args:
        pipeline: the pipeline of the job; the plug-in's `labels` are the words for it.
        files: what it works on, at least one file; the first gives the job its name.
        send: starts the job with a client and an idempotency key, and may be called again with the same key.
        client_class: the client that `send` takes, such as a plug-in's own.
        what: what kind of file that is, for messages about one that cannot be read.
        server: the value of the command's flag of this name: the URL of a running server.
        data: likewise, the data folder to work in without a server.
        json: likewise, whether to print each message as a line of JSON.

    Raises:
        CommandError: a file cannot be read, or the job cannot be started or followed. `shelfwire` shows its text.
    """
    sizes = [check_file(file, what) for file in files]
    name = clean(files[0].name) + (f" and {len(files) - 1} more" if len(files) > 1 else "")
    place = choose_place(server, data, os.environ)
    session = JobSession(place, known_jobs(), as_json=json, client_class=client_class)
    known, exit_code = run(session.start(NewJob(name, pipeline, send, sum(sizes))))
    return FinishedJob(exit_code, session.results, known)
