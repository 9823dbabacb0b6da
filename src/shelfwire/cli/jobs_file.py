"""The jobs this person has started, so that they can come back to them: one small file that only they can read."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec
import platformdirs
from filelock import FileLock, Timeout

from shelfwire.cli.errors import CommandError
from shelfwire.cli.extensions import labels_of
from shelfwire.client import JobHandle
from shelfwire.clock import SystemClock
from shelfwire.plugins import Labels
from shelfwire.settings import SettingsError, expanded

VARIABLE: Final = "SHELFWIRE_STATE"
NAME: Final = "jobs.json"
KEPT_MS: Final = 30 * 24 * 3600 * 1000
MAX_MS: Final = 253_402_214_400_000
"""The end of the year 9999 but for a day, after which there are no dates in any time zone."""
LOCK_SECONDS: Final = 10.0
SHORT: Final = 8
LAST: Final = "last"


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a job ended, as this person saw it."""

    status: str
    succeeded: int
    failed: int


class KnownJob(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A job and the way back to it. The token is a secret.

    Attributes:
        job_id: the job.
        token: what lets its holder follow, read and cancel it.
        file: the name of the file it works on.
        pipeline: the kind of job.
        created: when it was started, in milliseconds since the epoch.
        server: the URL of the server that runs it; unset for a job in a data folder of this machine.
        data: that data folder.
        ended: how it ended, if this command line has seen it.
        expires: when the token ends, in milliseconds since the epoch; unset if it lasts as long as the job.
    """

    job_id: str
    token: str
    file: str
    created: Annotated[int, msgspec.Meta(ge=0, le=MAX_MS)]
    server: str | None = None
    data: Annotated[str, msgspec.Meta(pattern=r"\A[^\x00]*\Z")] | None = None
    ended: Ended | None = None
    expires: int | None = None
    pipeline: str = ""

    @property
    def labels(self) -> Labels:
        """The words for jobs of its pipeline."""
        return labels_of(self.pipeline)

    @property
    def short(self) -> str:
        """As much of the id as a person needs to type."""
        return self.job_id[:SHORT]

    @property
    def ref(self) -> JobHandle:
        """The job, for the client."""
        return JobHandle(self.job_id, self.token, self.expires)

    def is_in(self, folder: Path) -> bool:
        """Whether it lives in this data folder, by whatever path that is named."""
        return self.data is not None and os.path.realpath(self.data) == os.path.realpath(folder)

    @property
    def where(self) -> str:
        """The server or data folder, for a person."""
        return self.server or self.data or "?"


class _Contents(msgspec.Struct, frozen=True):
    jobs: list[KnownJob]


def default_folder(environ: Mapping[str, str]) -> Path:
    """Where the file is kept: the platform's folder for a user's state, unless the environment names another.

    Raises:
        CommandError: what it names is in the folder of a user that does not exist.
    """
    named = environ.get(VARIABLE)
    try:
        return expanded(named) if named else platformdirs.user_state_path("shelfwire", appauthor=False)
    except SettingsError as error:
        raise CommandError(f"Bad setting: {VARIABLE}: {error}") from None


class JobsFile:
    """The file, written atomically and by one process at a time.

    Args:
        folder: where it is; made, for its owner alone, when there is something to keep.
        warn: is called with what a person should know.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self.path = folder / NAME
        self._tell = warn
        self._told: set[str] = set()

    def entries(self) -> list[KnownJob]:
        """Return all known jobs, the newest first; none, with a warning, where the file cannot be read."""
        try:
            return self._entries()
        except OSError as error:
            self._warn(f"{self.path} cannot be read ({error.strerror}); going on without the jobs it holds")
            return []

    def find(self, name: str, data: Path | None = None, *, usual: Path | None = None) -> KnownJob:
        """Return the job that `name` means: the unique beginning of an id, or `last`.

        Args:
            name: see above.
            data: the data folder of the job; any of them unless given.
            usual: the data folder that commands work in without a server: `last` is no job of another one.

        Raises:
            CommandError: none or several begin so.
        """
        entries = [entry for entry in self.entries() if data is None or entry.is_in(data)]
        if name == LAST:
            own = [entry for entry in entries if data or not usual or entry.data is None or entry.is_in(usual)]
            if own:
                return own[0]
            if entries:
                raise CommandError(f"No job is known in the data folder {usual}. List all jobs: shelfwire jobs")
        found = [entry for entry in entries if name and entry.job_id.startswith(name.lower())]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(entry.job_id for entry in found)
            raise CommandError(f"{name!r} is the beginning of {len(found)} jobs: {ids}. Give more of the id")
        if not entries and data is not None:
            raise CommandError(f"No job is known in the data folder {data}. List all jobs: shelfwire jobs")
        if not entries:
            raise CommandError(f"No job is known in {self.path}. Start one: shelfwire import FILE")
        raise CommandError(f"No known job has an id that begins with {name!r}. List them: shelfwire jobs")

    def put(self, entry: KnownJob) -> None:
        """Keep a job, in place of what was known of it. One that cannot be kept costs a warning, not the job."""
        self._change(entry, [entry])

    def remove(self, entry: KnownJob) -> None:
        """Forget a job."""
        self._change(entry, [])

    def _change(self, entry: KnownJob, successor: list[KnownJob]) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with FileLock(self.path.with_suffix(".lock"), timeout=LOCK_SECONDS, mode=0o600):
                self._write([*successor, *(e for e in self._entries() if e.job_id != entry.job_id)])
        except Timeout:
            self._warn(f"Job {entry.short} is not remembered: another process keeps {self.path} locked")
        except OSError as error:
            self._warn(
                f"Job {entry.short} is not remembered: {self.path} cannot be changed ({error.strerror}). "
                f"To come back to jobs, name a folder of your own: {VARIABLE}=FOLDER"
            )

    def _warn(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            self._tell(text)

    def _entries(self) -> list[KnownJob]:
        oldest = SystemClock().now() - KEPT_MS
        return sorted((e for e in self._read() if e.created >= oldest), key=lambda entry: entry.created, reverse=True)

    def _read(self) -> list[KnownJob]:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=_Contents).jobs
        except FileNotFoundError:
            return []
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            aside = self.path.with_name(NAME + ".broken")
            with contextlib.suppress(OSError):
                self.path.replace(aside)
                self._warn(f"{self.path} was damaged and is kept as {aside}; the jobs it held are not known any more")
            return []

    def _write(self, entries: list[KnownJob]) -> None:
        descriptor, name = tempfile.mkstemp(prefix=NAME + ".", dir=self.path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(_Contents(entries))))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
