"""What a person corrects lies beside the job, which stays as it is, and goes into what is saved."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shelfwire.errors import Code
from shelfwire.web.keys import Role
from tests.books.ai_scan.scripted import photo
from tests.books.ai_scan.test_pipeline import ANON, BATCH, DUNE, EMMA, images, made, scanning
from tests.live import MakeServer, Server, bearer
from tests.web.test_operator import by, key_file

LIST = b"Title,Author,ISBN\nEmma,Jane Austen,9780141439587\nDuen,F. Herbert,\n,,\nMiddlemarch,George Eliot,\n"


@pytest.fixture
async def server(make_server: MakeServer) -> AsyncIterator[Server]:
    async with make_server() as server:
        yield server


async def put(server: Server, job: dict[str, Any], given: list[Any], below: str = "") -> Any:
    return await server.ask("PUT", job, f"/corrections{below}", json={"corrections": given})


async def titles(server: Server, job: dict[str, Any], **query: Any) -> list[str]:
    page = (await server.ask("GET", job, "/results", params=query)).json()["data"]
    return [item["result"]["title"] for item in page["items"] if item["ok"]]


async def test_corrections_are_kept_by_item_and_taken_back(server: Server) -> None:
    job = await server.submit(LIST)
    await server.ended(job)
    first = await put(server, job, [{"index": 1, "book": 0, "title": "Dune"}, {"index": 0, "book": 0, "struck": True}])
    assert first.status_code == 200
    assert first.json()["data"] == {
        "corrections": [{"index": 0, "book": 0, "struck": True}, {"index": 1, "book": 0, "title": "Dune"}]
    }
    item = await put(server, job, [{"book": 0, "authors": ["Frank Herbert"]}], "/1")
    assert item.json()["data"]["corrections"][1] == {"index": 1, "book": 0, "authors": ["Frank Herbert"]}
    assert (await server.ask("GET", job, "/corrections")).json()["data"] == item.json()["data"]
    back = await put(server, job, [], "/0")
    assert [one["index"] for one in back.json()["data"]["corrections"]] == [1]
    assert (await put(server, job, [])).json()["data"]["corrections"] == []


async def test_the_job_never_changes_and_what_is_asked_for_has_the_corrections(server: Server) -> None:
    job = await server.submit(LIST)
    before = await server.ended(job)
    page = (await server.ask("GET", job, "/results")).json()["data"]
    given = [{"index": 1, "book": 0, "title": "Dune", "authors": ["Frank Herbert"]}]
    await put(server, job, [*given, {"index": 2, "book": 0, "struck": True}])
    assert await server.state(job) == before
    assert (await server.ask("GET", job, "/results")).json()["data"] == page
    assert await titles(server, job, corrected=1) == ["Emma", "Dune"]
    table = (await server.ask("GET", job, "/results", params={"format": "goodreads", "corrected": "1"})).text
    assert "Dune,Frank Herbert," in table
    assert "Middlemarch" not in table
    assert "9780141439587" in table
    as_recorded = (await server.ask("GET", job, "/results", params={"format": "csv", "file": "1"})).text
    assert "Duen" in as_recorded
    assert "Middlemarch" in as_recorded


async def test_books_of_a_photo_are_corrected_struck_and_added(tmp_path: Path) -> None:
    async with scanning(tmp_path) as server:
        job = await made(server, BATCH, files=images(photo(EMMA), photo(DUNE, EMMA, ANON)))
        await server.ended(job)
        given = [
            {"book": 0, "title": "Dune", "authors": ["Frank Herbert"]},
            {"book": 1, "struck": True},
            {"book": 3, "title": "Persuasion", "polygon": [[1, 2], [3, 4], [5, 6]]},
        ]
        assert (await put(server, job, given, "/1")).status_code == 200
        page = (await server.ask("GET", job, "/results", params={"corrected": 1})).json()["data"]
        lines = (await server.ask("GET", job, "/results", params={"corrected": 1, "format": "csv"})).text
    dune, anon, added = page["items"][1]["result"]["books"]
    assert page["items"][1]["result"]["bookCount"] == 3
    assert (dune["title"], dune["authors"], dune["review"]) == ("Dune", ["Frank Herbert"], False)
    assert dune["readAs"]["title"] == "The Title of Book 10 20"
    assert (anon["title"], anon["review"]) == ("The Title of Book 12 22", True)
    assert (added["title"], added["photo"], added["polygon"]) == ("Persuasion", 1, [[1, 2], [3, 4], [5, 6]])
    assert page["items"][0]["result"]["books"][0]["title"] == "The Title of Book 11 21"
    assert "Persuasion" in lines


async def test_corrections_are_for_who_controls_the_job_and_seen_by_who_has_the_results(server: Server) -> None:
    job = await server.submit(LIST)
    await server.ended(job)
    answers = {}
    for scope in ("watch", "results", "control"):
        token = (await server.ask("POST", job, "/token", json={"scopes": [scope]})).json()["data"]["token"]
        url = f"/api/jobs/{job['jobId']}/corrections"
        read = await server.http.get(url, headers=bearer(token))
        written = await server.http.put(url, headers=bearer(token), json={"corrections": []})
        answers[scope] = (read.status_code, written.status_code)
    assert answers == {"watch": (403, 403), "results": (200, 403), "control": (403, 200)}


async def test_what_an_operator_corrects_is_in_the_audit(make_server: MakeServer, tmp_path: Path) -> None:
    async with make_server(keys_file=key_file(tmp_path, Role.ADMIN)) as server:
        created = await server.http.post(
            "/api/import/csv-gemini", files={"file": ("a.csv", LIST)}, headers=by(Role.ADMIN)
        )
        job = created.json()["data"]
        await server.ended(job)
        url = f"/api/jobs/{job['jobId']}/corrections"
        await server.http.put(url, headers=by(Role.ADMIN), json={"corrections": []})
        audit = (await server.http.get("/api/admin/audit", headers=by(Role.ADMIN))).json()["data"]["items"]
    assert ("correct", job["jobId"], "ok") in [(act["action"], act.get("jobId"), act["outcome"]) for act in audit]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ([{"index": 4, "book": 0, "struck": True}], Code.ITEM_UNKNOWN),
        ([{"index": -1, "book": 0, "struck": True}], Code.ITEM_UNKNOWN),
        ([{"book": 0, "struck": True}], Code.INVALID_REQUEST),
        ([{"index": True, "book": 0, "struck": True}], Code.INVALID_REQUEST),
        ([{"index": 0, "book": 0}], Code.INVALID_REQUEST),
        ([{"index": 0, "book": 0, "title": "A", "struck": True}], Code.INVALID_REQUEST),
        ([{"index": 0, "book": -1, "struck": True}], Code.INVALID_REQUEST),
        ([{"index": 0, "book": 0, "title": " "}], Code.INVALID_REQUEST),
        ([{"index": 0, "book": 0, "title": "x" * 2001}], Code.INVALID_REQUEST),
        ([{"index": 0, "book": 0, "titel": "x"}], Code.INVALID_REQUEST),
        ([{"index": 0, "book": 0, "title": "x" * 2000}] * 600, Code.FILE_TOO_LARGE),
    ],
)
async def test_what_cannot_be_a_correction_changes_nothing(server: Server, given: list[Any], code: Code) -> None:
    job = await server.submit(LIST)
    await server.ended(job)
    kept = (await put(server, job, [{"index": 0, "book": 0, "title": "Emma!"}])).json()["data"]
    refused = await put(server, job, given)
    assert refused.json()["code"] == code
    assert (await server.ask("GET", job, "/corrections")).json()["data"] == kept


async def test_results_that_cannot_be_corrected_say_so(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        answer = await put(server, job, [])
    assert answer.json()["code"] == Code.INVALID_REQUEST
    assert "cannot be corrected" in answer.json()["detail"]
