"""Connections to a database that is slow, silent, gone or not to be trusted; and migrations of several at once."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from shelfwire.clock import DatabaseClock
from shelfwire.errors import Code, ShelfwireError
from shelfwire.stores.postgres import migrations
from shelfwire.stores.postgres.address import connector, conninfo_of
from shelfwire.stores.postgres.advice import with_advice
from shelfwire.stores.postgres.connections import Connections, Session
from shelfwire.stores.postgres.errors import translated
from shelfwire.stores.postgres.migrations import REVISIONS, upgrade
from tests import postgres
from tests.ports import free_port

ADD = "UPDATE shelfwire.meta SET value = value || %(letter)s WHERE name = %(name)s"


@pytest.fixture
async def connections(database: str) -> AsyncIterator[Connections]:
    made = Connections(connector(conninfo_of(database, "test")), 2, 0.3)
    yield made
    await made.close()


async def test_a_statement_that_is_not_answered_in_time_fails_and_its_connection_is_thrown_away(
    connections: Connections,
) -> None:
    begun = time.monotonic()
    with pytest.raises(ShelfwireError) as failed:
        await connections.write(lambda session: session.value("SELECT pg_sleep(60)"))
    assert time.monotonic() - begun < 30, "it waits neither for the server nor for a request to cancel"
    assert failed.value.code is Code.STORAGE_UNAVAILABLE
    assert await connections.read(lambda session: session.value("SELECT 1")) == 1


async def test_work_whose_caller_is_cancelled_leaves_no_transaction_open(
    connections: Connections, database: str
) -> None:
    begun = asyncio.Event()

    async def work(session: Session) -> None:
        await session.execute("INSERT INTO shelfwire.meta VALUES ('x', 'y')")
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(connections.write(work))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await connections.write(lambda session: session.execute("INSERT INTO shelfwire.meta VALUES ('x', 'z')"))
    with psycopg.connect(database) as other:
        assert other.execute("SELECT value FROM shelfwire.meta WHERE name = 'x'").fetchall() == [("z",)]


async def test_two_transactions_that_wait_for_each_other_both_succeed_in_the_end(database: str) -> None:
    patient = Connections(connector(conninfo_of(database, "test")), 2, 30)
    await patient.write(lambda session: session.execute("INSERT INTO shelfwire.meta VALUES ('a', ''), ('b', '')"))
    barrier = asyncio.Barrier(2)
    runs: list[str] = []

    async def work(session: Session, first: str, second: str) -> None:
        runs.append(first)
        await session.execute(ADD, {"letter": first, "name": first})
        if len(runs) <= 2:
            await barrier.wait()
        await session.execute("SET LOCAL lock_timeout = 0")
        await session.execute(ADD, {"letter": first, "name": second})

    await asyncio.gather(
        patient.write(lambda session: work(session, "a", "b")), patient.write(lambda session: work(session, "b", "a"))
    )
    await patient.close()
    assert len(runs) > 2


async def test_nobody_waits_for_long_where_the_database_is_away() -> None:
    away = Connections(connector(conninfo_of(f"postgresql://127.0.0.1:{free_port()}/x", "test")), 1, 1)
    with pytest.raises(ShelfwireError, match="Connection refused") as refused:
        await away.read(lambda session: session.value("SELECT 1"))
    assert refused.value.code is Code.STORAGE_UNAVAILABLE


@pytest.mark.parametrize(
    ("change", "said", "advice"),
    [
        (("test_", "nothere_test_"), "does not exist", "createdb --owner"),
        (("shelfwire@", "nobody:pw@"), 'role "nobody" does not exist', "createuser --pwprompt"),
        (("?", "?sslmode=verify-full&"), "does not support SSL", "?sslmode=disable"),
        (("?", "?target_session_attrs=standby&"), "standby", "Name the primary"),
        (("@127.0.0.1", "@no.such.host.invalid"), "resolve host", "Check the host"),
    ],
)
def test_an_error_of_the_database_comes_with_what_to_do(
    database: str, change: tuple[str, str], said: str, advice: str
) -> None:
    url = f"{database}?connect_timeout=5".replace(*change)
    with pytest.raises(ShelfwireError, match=said) as failed:
        upgrade(conninfo_of(url, "test"))
    assert failed.value.code is Code.STORAGE_UNAVAILABLE
    assert advice in failed.value.message


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ('FATAL:  password authentication failed for user "shelfwire"', "percent-encoded"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.9", user "x", database "x", no encryption', "pg_hba.conf"),
        ("SSL error: certificate verify failed", "?sslrootcert="),
        ('root certificate file "/root/.postgresql/root.crt" does not exist', "?sslrootcert="),
        ('server certificate for "db" does not match host name "db.example.com"', "that name"),
        ("connection to server at 127.0.0.1 failed: Connection refused", "listen_addresses"),
        ("connection timeout expired", "firewalls"),
        ("FATAL:  sorry, too many clients already", "max_connections"),
        ("FATAL:  no such database: shelfwire", "createdb"),
        ("permission denied for database shelfwire (42501)", "GRANT CREATE"),
    ],
)
def test_what_is_often_wrong_has_an_advice(text: str, advice: str) -> None:
    assert with_advice(text).startswith(f"{text}. ")
    assert advice in with_advice(text)


def test_what_is_not_known_stands_alone() -> None:
    assert with_advice("something new") == "something new"


def test_of_several_hosts_each_failure_is_said() -> None:
    one, two = free_port(), free_port()
    with pytest.raises(ShelfwireError) as failed:
        upgrade(conninfo_of(f"postgresql://127.0.0.1:{one},127.0.0.1:{two}/x", "test"))
    assert str(one) in failed.value.message
    assert str(two) in failed.value.message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:se@cret@127.0.0.1/x",
        "postgresql://user:se/cret@127.0.0.1/x",
        "postgresql://user:se%zzcret@127.0.0.1/x",
    ],
)
def test_a_password_that_is_not_encoded_is_not_shown_in_part_either(url: str) -> None:
    with pytest.raises(ShelfwireError, match="percent-encoded") as refused:
        upgrade(conninfo_of(url, "test"))
    assert "cret" not in str(refused.value)


def test_a_parameter_that_is_mistyped_is_named() -> None:
    with pytest.raises(ShelfwireError, match="sslmod") as refused:
        conninfo_of("postgresql://user:secret@db.example.com/x?sslmod=require", "test")
    assert "secret" not in str(refused.value)


def test_a_server_that_is_too_old_is_named_with_the_version_that_is_needed(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "MIN_SERVER", 990_000)
    with pytest.raises(ShelfwireError, match=r"it is PostgreSQL 1\d, and shelfwire needs 99 or newer"):
        upgrade(database)


def test_a_database_that_has_not_all_letters_is_refused(postgres_server: postgres.Server) -> None:
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
        try:
            with pytest.raises(ShelfwireError, match=r"its encoding is LATIN1.*--encoding UTF8"):
                upgrade(postgres_server.url("latin"))
        finally:
            connection.execute("DROP DATABASE latin WITH (FORCE)")


def test_a_role_that_may_make_no_schema_is_told_what_it_needs(postgres_server: postgres.Server) -> None:
    with postgres_server.database(template="template0") as url, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE modest LOGIN")
        try:
            with pytest.raises(ShelfwireError, match=r"permission denied.*GRANT CREATE ON DATABASE"):
                upgrade(url.replace("shelfwire@", "modest@"))
        finally:
            connection.execute("DROP ROLE modest")


def test_no_error_shows_the_password() -> None:
    with pytest.raises(ShelfwireError) as refused:
        conninfo_of("postgresql://user:very%secret@host/x", "test")
    assert "secret" not in str(refused.value)
    with pytest.raises(ShelfwireError) as away:
        upgrade(conninfo_of(f"postgresql://user:secret@127.0.0.1:{free_port()}/x", "test"))
    assert "secret" not in str(away.value)


@pytest.mark.parametrize(
    ("url", "mode"),
    [
        ("postgresql://db.example.org/x", "verify-full"),
        ("postgresql://10.0.0.1,127.0.0.1/x", "verify-full"),
        ("postgresql:///x?host=127.0.0.1&hostaddr=10.0.0.1", "verify-full"),
        ("postgresql://db.example.org/x?sslmode=require", "require"),
        ("postgresql://127.0.0.1/x", None),
        ("postgresql://localhost,[::1]/x", None),
        ("postgresql:///x?host=/run/postgresql", None),
        ("postgresql:///x", None),
    ],
)
def test_a_database_elsewhere_has_to_prove_who_it_is_unless_the_url_says_otherwise(url: str, mode: str | None) -> None:
    assert conninfo_to_dict(conninfo_of(url, "test")).get("sslmode") == mode


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (errors.SerializationFailure(), True),
        (errors.LockNotAvailable(), True),
        (errors.AdminShutdown(), True),
        (errors.DiskFull(), True),
        (errors.ReadOnlySqlTransaction(), True),
        (errors.QueryCanceled(), True),
        (errors.IdleInTransactionSessionTimeout(), True),
        (psycopg.OperationalError("the connection is lost"), True),
        (ConnectionResetError(), True),
        (errors.UniqueViolation(), False),
        (errors.UndefinedTable(), False),
        (psycopg.DataError("a text has a NUL"), False),
    ],
)
def test_errors_that_heal_are_told_from_those_of_this_very_work(error: Exception, passes: bool) -> None:  # noqa: FBT001
    assert (translated(error).code is Code.STORAGE_UNAVAILABLE) == passes


def test_processes_that_open_a_new_database_at_once_make_its_tables_once(postgres_server: postgres.Server) -> None:
    with postgres_server.database(template="template0") as url, ThreadPoolExecutor(4) as threads:
        list(threads.map(upgrade, [url] * 4))
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT version_num FROM shelfwire.alembic_version").fetchall() == [
                (REVISIONS[-1],)
            ]


def test_a_newer_schema_is_used_where_that_says_so_and_else_refused(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("UPDATE shelfwire.alembic_version SET version_num = '9999'")
        upgrade(database)
        connection.execute("UPDATE shelfwire.meta SET value = '9998' WHERE name = 'min_reader'")
        with pytest.raises(ShelfwireError, match="newer shelfwire"):
            upgrade(database)


def test_the_clock_of_the_database_goes_by_its_quickest_answer() -> None:
    clock = DatabaseClock()
    begun = clock.monotonic()
    clock.observe(5_000_000.0, begun, begun + 0.5)
    clock.observe(7_000_000.0, begun, begun + 0.001)
    clock.observe(9_000_000.0, begun, begun + 0.2)
    assert 7_000_000 <= clock.steady() < 7_060_000
    assert abs(clock.now() - clock.steady()) < 1000


async def test_a_network_that_swallows_everything_keeps_nobody_longer_than_the_deadline(database: str) -> None:
    """A proxy takes the connection over, and from then on passes nothing on."""
    target = conninfo_to_dict(database)
    passing = True

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if passing:
                writer.write(data)

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(str(target["host"]), int(str(target["port"])))
        try:
            await asyncio.gather(pump(reader, back), pump(there, writer))
        except OSError:
            pass
        finally:
            back.close()
            writer.close()

    server = await asyncio.start_server(proxy, "127.0.0.1", 0, family=socket.AF_INET)
    port = server.sockets[0].getsockname()[1]
    swallowed = Connections(connector(conninfo_of(database.replace(str(target["port"]), str(port)), "test")), 1, 0.3)
    assert await swallowed.read(lambda session: session.value("SELECT 1")) == 1
    passing = False
    begun = time.monotonic()
    with pytest.raises(ShelfwireError):
        await swallowed.write(lambda session: session.value("SELECT 1"))
    assert time.monotonic() - begun < 30
    await swallowed.close()
    server.close()
