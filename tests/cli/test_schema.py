"""`shelfwire schema` prints what a server would serve, without one, and each time the same."""

import json

import pytest

from .conftest import Shelfwire


@pytest.mark.parametrize(("document", "version"), [("openapi", "3.1.0"), ("asyncapi", "3.0.0"), ("messages", None)])
def test_a_document_is_printed_the_same_each_time(shelfwire: Shelfwire, document: str, version: str | None) -> None:
    first, second = (shelfwire("schema", document, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout == second.stdout
    printed = json.loads(first.stdout)
    assert printed.get(document) == version
    assert "job_progress" in first.stdout or document == "openapi"


def test_the_messages_are_printed_without_loading_a_server(shelfwire: Shelfwire) -> None:
    done = shelfwire("schema", "messages", PYTHONPROFILEIMPORTTIME="1", fresh=True)
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "import time" in line}
    assert loaded & {"msgspec", "starlette", "sqlalchemy", "uvicorn", "httpx2"} == {"msgspec"}


def test_a_document_that_does_not_exist_is_refused_with_those_that_do(shelfwire: Shelfwire) -> None:
    done = shelfwire("schema", "swagger")
    assert (done.returncode, done.stdout) == (2, "")
    assert all(name in done.stderr for name in ("openapi", "asyncapi", "messages"))
