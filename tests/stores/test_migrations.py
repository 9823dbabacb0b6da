import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

from shelfwire.errors import ShelfwireError
from shelfwire.stores.migrations import FOLDER, REVISIONS, VERSION, upgrade
from shelfwire.stores.migrations.stepwise import upgrade_stepwise
from shelfwire.stores.sqlite.data_folder import DATABASE_NAME
from shelfwire.stores.sqlite.store import SqliteStore
from shelfwire.testing import encode_terminal

OPEN_STORE = """
import asyncio, pathlib, sys
from shelfwire.stores.sqlite.store import SqliteStore

async def main():
    async with SqliteStore(pathlib.Path(sys.argv[1]), encode_terminal=None, inline_limit=0):
        print(*sorted({name.partition(".")[0] for name in sys.modules} & {"alembic", "sqlalchemy"}))

asyncio.run(main())
"""

AS_BEFORE_TURNS = """
DROP INDEX job_by_turn; DROP INDEX job_by_caller; DROP TABLE queue;
ALTER TABLE job DROP COLUMN caller; ALTER TABLE job DROP COLUMN turn;
CREATE INDEX job_by_turn ON job (status, pipeline, run_at);
DROP INDEX job_seen; DROP INDEX job_by_status; DROP INDEX job_by_pipeline; DROP INDEX job_by_code;
ALTER TABLE job DROP COLUMN created_at; ALTER TABLE job DROP COLUMN code; ALTER TABLE job DROP COLUMN label;
DROP TABLE job_tag; DROP TABLE audit; DROP TABLE tally; DROP TABLE correction; DROP TABLE meta;
DROP TABLE outbox; DROP INDEX job_lost; ALTER TABLE job DROP COLUMN lost_at; ALTER TABLE "grant" DROP COLUMN attempt;
"""


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def schema_of(connection: Connection) -> dict[str, str]:
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    return {name: " ".join(sql.split()) for name, sql in rows}


def new_schema() -> dict[str, str]:
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        upgrade(connection)
        schema = schema_of(connection)
    engine.dispose()
    return schema


@pytest.mark.parametrize("revision", ["base", *REVISIONS])
def test_a_database_of_any_revision_becomes_as_a_new_one_is(connection: Connection, revision: str) -> None:
    upgrade_stepwise(connection, revision)
    upgrade(connection)
    assert schema_of(connection) == new_schema()
    assert connection.execute(VERSION.select()).all() == [(REVISIONS[-1],)]


def test_a_new_database_is_of_the_newest_revision_and_stays_so(connection: Connection) -> None:
    for _ in range(2):
        upgrade(connection)
        assert connection.execute(VERSION.select()).all() == [(REVISIONS[-1],)]


def test_the_revisions_are_those_that_alembic_finds_in_their_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    found = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    assert tuple(reversed(found)) == REVISIONS


def test_alembic_is_imported_only_where_there_is_something_to_migrate(tmp_path: Path) -> None:
    def imported() -> str:
        command = [sys.executable, "-c", OPEN_STORE, str(tmp_path)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603

    assert [imported(), imported()] == ["sqlalchemy", "sqlalchemy"]
    with sqlite3.connect(tmp_path / DATABASE_NAME) as database:
        database.executescript(AS_BEFORE_TURNS)
        database.execute("UPDATE alembic_version SET version_num = '0004'")
    database.close()
    assert imported() == "alembic sqlalchemy"


async def test_tables_of_another_program_are_not_touched(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / DATABASE_NAME) as database:
        database.execute("CREATE TABLE job (theirs TEXT)")
    with pytest.raises(ShelfwireError, match="job already exists"):
        await SqliteStore(tmp_path, encode_terminal=encode_terminal, inline_limit=0).__aenter__()
    assert database.execute("SELECT sql FROM sqlite_master").fetchall() == [("CREATE TABLE job (theirs TEXT)",)]
    database.close()


def test_options_that_were_inputs_of_their_own_become_the_input_with_the_options(connection: Connection) -> None:
    upgrade_stepwise(connection, "0003")
    jobs = {
        "an import": ("csv_import", {"file": b"Title", "gemini": b"never", "enrich": b"true", "\0kept:gemini": b"off"}),
        "a scan": ("ai_scan", {"photo-1": b"jpeg", "enrich": b"true"}),
        "one at its defaults": ("csv_import", {"file": b"Title"}),
        "one of no known value": ("csv_import", {"file": b"Title", "gemini": b"perhaps"}),
        "of another pipeline": ("word_count", {"file": b"Title", "gemini": b"never", "options": b"its own"}),
    }
    for job_id, (pipeline, inputs) in jobs.items():
        connection.execute(
            text("INSERT INTO job VALUES (:id, :pipeline, 'queued', 0, 0, 0, '{}')"),
            {"id": job_id, "pipeline": pipeline},
        )
        for name, data in inputs.items():
            connection.execute(
                text("INSERT INTO input_part VALUES (:job_id, :name, 0, :data)"),
                {"job_id": job_id, "name": name, "data": data},
            )
    upgrade(connection)
    moved: dict[str, dict[str, bytes]] = {job_id: {} for job_id in jobs}
    for job_id, name, data in connection.execute(text("SELECT job_id, name, data FROM input_part")):
        moved[job_id][name] = data
    assert moved == {
        **{job_id: inputs for job_id, (_, inputs) in jobs.items()},
        "an import": {
            "file": b"Title",
            "\0kept:gemini": b"off",
            "options": b'{"enrich": true, "gemini": "never"}',
        },
        "a scan": {"photo-1": b"jpeg", "options": b'{"enrich": true}'},
    }


def test_jobs_of_before_are_found_by_what_their_rows_say(connection: Connection) -> None:
    upgrade_stepwise(connection, "0006")
    rows = {
        "a": '{"created_at": 5, "metadata": {"fileName": "Œuvres.CSV"}, "error": {"code": "E_INTERNAL"}}',
        "b": '{"created_at": 6}',
        "c": "{",
        "d": '{"created_at": 7, "metadata": {"fileName": "\\ud800"}}',
    }
    for name, state in rows.items():
        connection.execute(
            text(
                "INSERT INTO job (id, pipeline, status, run_at, lease_until, expires_at, state)"
                " VALUES (:id, 'p', 'failed', 0, 0, 0, :state)"
            ),
            {"id": name, "state": state},
        )
    connection.execute(
        text("INSERT INTO job SELECT 'e', pipeline, status, 0, 0, 0, CAST(x'7bff' AS TEXT), '', 0, 0 FROM job LIMIT 1")
    )
    upgrade(connection)
    found = connection.execute(text("SELECT created_at, code, label FROM job ORDER BY id")).all()
    damaged = 0, None, None
    undamaged = [(5, "E_INTERNAL", "œuvres.csv"), (6, None, None)]
    assert [tuple(row) for row in found] == [*undamaged, damaged, (7, None, "?"), damaged]
