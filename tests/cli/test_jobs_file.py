"""The file that remembers jobs."""

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shelfwire.cli.errors import CommandError, Exit
from shelfwire.cli.jobs_file import KEPT_MS, JobsFile, KnownJob, default_folder
from shelfwire.clock import SystemClock


class Warnings(list[str]):
    """What the person was told."""


@pytest.fixture
def told() -> Warnings:
    return Warnings()


@pytest.fixture
def jobs_file(tmp_path: Path, told: Warnings) -> JobsFile:
    return JobsFile(tmp_path / "state", told.append)


def entry(job_id: str, *, age: int = 0, server: str | None = "http://127.0.0.1:1") -> KnownJob:
    return KnownJob(
        pipeline="csv_import",
        job_id=job_id,
        token="secret-" + job_id,
        file="books.csv",
        created=SystemClock().now() - age,
        server=server,
    )


def test_a_jobs_file_is_readable_by_its_owner_only(jobs_file: JobsFile) -> None:
    jobs_file.put(entry("aa11"))
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (jobs_file.path.parent, *jobs_file.path.parent.iterdir())]
    assert modes == [0o700, 0o600, 0o600]


def test_jobs_are_listed_newest_first_and_each_once(jobs_file: JobsFile) -> None:
    jobs_file.put(entry("aa11", age=2000))
    jobs_file.put(entry("bb22", age=1000))
    jobs_file.put(entry("aa11", age=2000))
    assert [known.job_id for known in jobs_file.entries()] == ["bb22", "aa11"]


def test_jobs_older_than_thirty_days_are_dropped(jobs_file: JobsFile) -> None:
    jobs_file.put(entry("old1", age=KEPT_MS + 60_000))
    jobs_file.put(entry("new1", age=KEPT_MS - 60_000))
    assert [known.job_id for known in jobs_file.entries()] == ["new1"]
    assert b"old1" not in jobs_file.path.read_bytes()


def test_a_job_is_found_by_the_beginning_of_its_id_or_as_the_last(jobs_file: JobsFile) -> None:
    jobs_file.put(entry("aa11", age=1000))
    jobs_file.put(entry("ab22"))
    assert jobs_file.find("AA").job_id == "aa11"
    assert jobs_file.find("last").job_id == "ab22"


@pytest.mark.parametrize(("name", "says"), [("a", "beginning of 2 jobs"), ("zz", "shelfwire jobs"), ("", "No known")])
def test_a_job_that_is_not_found_says_what_to_do(jobs_file: JobsFile, name: str, says: str) -> None:
    jobs_file.put(entry("aa11"))
    jobs_file.put(entry("ab22"))
    with pytest.raises(CommandError, match=says) as error:
        jobs_file.find(name)
    assert error.value.exit_code == Exit.USAGE
    assert "secret" not in str(error.value)


STRANGE = b'{"jobs": [{"job_id": "a", "token": "t", "file": "f", "created": %d, "data": "%s"}]}'


@pytest.mark.parametrize(
    "garbage",
    [
        *(b"", b"[1]", b'{"jobs": [{}]}', b"\xff\xfe\x00", b"[" * 100_000),
        *(STRANGE % (10**18, b"/a"), STRANGE % (10**30, b"/a"), STRANGE % (1, rb"/a\u0000")),
    ],
)
def test_a_damaged_file_is_kept_aside_and_work_goes_on(jobs_file: JobsFile, told: Warnings, garbage: bytes) -> None:
    jobs_file.put(entry("aa11"))
    jobs_file.path.write_bytes(garbage)
    jobs_file.put(entry("bb22"))
    assert [known.job_id for known in jobs_file.entries()] == ["bb22"]
    assert jobs_file.path.with_name("jobs.json.broken").read_bytes() == garbage
    assert len(told) == 1
    assert "jobs.json.broken" in told[0]


def test_a_job_that_cannot_be_remembered_costs_one_warning(tmp_path: Path, told: Warnings) -> None:
    (tmp_path / "file").write_bytes(b"")
    jobs_file = JobsFile(tmp_path / "file", told.append)
    jobs_file.put(entry("aa11"))
    jobs_file.put(entry("aa11"))
    assert len([text for text in told if "not remembered" in text]) == 1
    assert "secret" not in "".join(told)


def test_a_file_that_cannot_be_read_is_not_replaced_by_one_that_lacks_its_jobs(
    jobs_file: JobsFile, told: Warnings, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs_file.put(entry("aa11"))

    def refuse(_: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as other_owner:
        other_owner.setattr(Path, "read_bytes", refuse)
        jobs_file.put(entry("bb22"))
        assert jobs_file.entries() == []
    assert [known.job_id for known in jobs_file.entries()] == ["aa11"]
    assert [text for text in told if "bb22 is not remembered" in text and "Permission denied" in text]


def test_writers_at_once_lose_nothing(tmp_path: Path, told: Warnings) -> None:
    def put(number: int) -> None:
        JobsFile(tmp_path, told.append).put(entry(f"{number:04x}"))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(put, range(64)))
    assert len(JobsFile(tmp_path, told.append).entries()) == 64
    assert not told


def test_the_environment_names_the_folder(tmp_path: Path) -> None:
    assert default_folder({"SHELFWIRE_STATE": str(tmp_path)}) == tmp_path
    assert default_folder({}).name == "shelfwire"
    assert os.fspath(default_folder({})) != os.fspath(tmp_path)
