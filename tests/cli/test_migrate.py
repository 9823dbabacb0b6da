"""`shelfwire migrate` as it is typed."""

import sqlite3
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from shelfwire.cli.migrate import _Progress
from shelfwire.stores.sqlite.data_folder import DATABASE_NAME
from shelfwire.stores.sqlite.store import SqliteStore
from shelfwire.stores.transfer import copying
from shelfwire.stores.transfer.copying import Comparison, Report, Step
from shelfwire.stores.transfer.source import Source
from shelfwire.stores.transfer.target import Target
from shelfwire.testing import NOW, POLICY, FakeClock, add_job, claim, encode_terminal, ending
from tests.cli.conftest import Here

PASSWORD = "a-secret-of-ours"


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    async with SqliteStore(tmp_path / "data", encode_terminal=encode_terminal, inline_limit=10_000) as store:
        await add_job(store)
        await claim(store)
        await store.commit([ending([0, 1])], POLICY, NOW)
        await add_job(store, "job-2")
    return tmp_path / "data"


def test_it_says_what_was_copied_and_that_it_is_the_same(folder: Path, database: str, here: Here) -> None:
    code, out, err = here("migrate", "--from", str(folder), "--to", database)
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["folder", "database"] in lines
    for line in (["jobs", "2", "2"], ["results", "2", "2"], ["tokens", "2", "2"], ["endings", "1", "1"]):
        assert line in lines
    assert f"All of {folder} is in test_" in out


def test_the_database_and_the_folder_may_come_from_the_environment(
    folder: Path, database: str, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELFWIRE_DATABASE", database)
    monkeypatch.setenv("SHELFWIRE_DATA", str(folder))
    assert here("migrate")[0] == 0


def test_a_migration_that_is_done_is_not_done_again_and_can_be_checked(folder: Path, database: str, here: Here) -> None:
    words = "migrate", "--from", str(folder), "--to", database
    assert here(*words)[0] == 0
    code, _, err = here(*words)
    assert (code, "was copied into this database before, completely" in err) == (2, True)
    assert here(*words, "--check")[0] == 0
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE shelfwire.item SET body = '1' WHERE index = 0")
    code, _, err = here(*words, "--check")
    assert (code, err) == (1, "shelfwire: The folder and the database differ in: jobs job-1\n")


def test_damaged_jobs_are_left_behind_only_if_that_is_said(folder: Path, database: str, here: Here) -> None:
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as connection, connection:
        connection.execute("UPDATE job SET state = '{' WHERE id = 'job-2'")
    words = "migrate", "--from", str(folder), "--to", database
    code, _, err = here(*words)
    assert (code, "damaged and cannot be copied: job-2. All others are there" in err) == (2, True)
    code, out, err = here(*words, "--leave-damaged")
    assert (code, f"Going on with {folder}" in err, f"All of {folder}" in out) == (0, True, True)


def test_a_database_that_cannot_be_reached_is_named_without_its_password(folder: Path, here: Here) -> None:
    code, out, err = here("migrate", "--from", str(folder), "--to", f"postgresql://user:{PASSWORD}@127.0.0.1:1/x")
    assert (code, "The database cannot be used" in err, "refused" in err) == (2, True, True)
    assert PASSWORD not in out + err


@pytest.mark.parametrize("url", [f"mysql://user:{PASSWORD}@host/x", f"postgresql://user:{PASSWORD}%@host/x"])
def test_a_url_that_is_none_is_refused_without_being_shown(folder: Path, here: Here, url: str) -> None:
    code, out, err = here("migrate", "--from", str(folder), "--to", url)
    assert (code, "It looks like postgresql://user:password@host:5432/name" in err) == (2, True)
    assert PASSWORD not in out + err


def test_without_a_database_it_says_how_to_name_one(folder: Path, here: Here) -> None:
    code, _, err = here("migrate", "--from", str(folder))
    assert (code, err) == (2, "shelfwire: Name the database: --to postgresql://…, or set SHELFWIRE_DATABASE\n")


async def test_a_folder_that_a_server_holds_is_refused(folder: Path, database: str, here: Here) -> None:
    async with SqliteStore(folder, encode_terminal=encode_terminal, inline_limit=10_000):
        code, _, err = here("migrate", "--from", str(folder), "--to", database)
    assert code == 2
    assert f"A server uses {folder}, or another migration does. Stop it first" in err


def test_a_database_that_goes_away_meanwhile_is_named_and_the_same_command_goes_on(
    folder: Path, database: str, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copying.copy

    def cut(source: Source, target: Target, report: Report) -> Comparison:
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'shelfwire migrate'"
            )
        return copy(source, target, report)

    words = "migrate", "--from", str(folder), "--to", database
    monkeypatch.setattr(copying, "copy", cut)
    code, _, err = here(*words)
    assert code == 2
    assert err.startswith("shelfwire: The database cannot be used: terminating connection")
    assert err.endswith("Nothing is lost. Run the same command again: it goes on where it was\n")
    monkeypatch.setattr(copying, "copy", copy)
    code, _, err = here(*words)
    assert (code, err.startswith("Going on with")) == (0, True)


def test_where_there_is_no_terminal_a_line_says_from_time_to_time_how_far_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    clock = FakeClock(NOW)
    progress = _Progress(clock)
    for jobs in range(1, 26):
        progress.show(Step("Copying", jobs, 5000, 1000 * jobs))
        clock.advance(1)
    progress.end()
    lines = "Copying: 11 of 5,000 jobs, 11,000 rows", "Copying: 21 of 5,000 jobs, 21,000 rows"
    assert capsys.readouterr().err.splitlines() == [*lines]
