"""The pages for browsers: where they are, how long they are kept, and what they may not do."""

import gzip
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from shelfwire.app import Shelfwire
from shelfwire.web.keys import Role
from shelfwire.web.pages import built_files
from tests.hosts import MOUNT, in_starlette
from tests.live import MakeServer
from tests.test_embedding import shelfwire
from tests.web.test_operator import key_file

FORWARDED = {"X-Forwarded-For": "203.0.113.9"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "built"
    folder.mkdir()
    (folder / "index.html").write_text('<script src="reader.js"></script><link href="pages.css"><a href="other.js">')
    (folder / "reader.js").write_text("1")
    (folder / "pages.css").write_text("a{}")
    return folder


async def test_the_pages_are_kept_until_they_change_and_nothing_foreign_runs_in_them(make_server: MakeServer) -> None:
    async with make_server() as server:
        page = await server.http.get("/")
        known = await server.http.get("/", headers={"If-None-Match": page.headers["etag"]})
        plain = await server.http.get("/", headers={"Accept-Encoding": "identity"})
        head = await server.http.head("/")
        posted = await server.http.post("/")
    policy = page.headers["content-security-policy"]
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    assert page.headers["content-encoding"] == "gzip"
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["content-security-policy"] == policy
    assert plain.headers["etag"] == page.headers["etag"].removeprefix("W/")
    assert plain.content == page.content == built_files()["index.html"].body
    assert (head.status_code, head.content) == (200, b"")
    assert posted.status_code == 405
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == directives["frame-ancestors"] == directives["trusted-types"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == directives["connect-src"] == "'self'"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert page.headers["cross-origin-resource-policy"] == "same-origin"
    assert page.headers["permissions-policy"] == "camera=(), microphone=(), geolocation=()"


def test_a_page_names_its_script_and_style_by_their_content(folder: Path) -> None:
    files = built_files(folder)
    script, style = files["reader.js"], files["pages.css"]
    assert files["index.html"].body.decode() == (
        f'<script src="pages/{script.hashed_name}"></script><link href="pages/{style.hashed_name}"><a href="other.js">'
    )
    assert script.hashed_name.startswith("reader.")
    assert script.hashed_name.endswith(".js")
    assert gzip.decompress(style.compressed) == b"a{}"
    (folder / "reader.js").write_text("2")
    built_files.cache_clear()
    after = built_files(folder)
    assert after["reader.js"].hashed_name != script.hashed_name
    assert after["index.html"].tag != files["index.html"].tag


async def test_a_script_is_kept_for_good_and_one_of_another_version_is_not_there(
    make_server: MakeServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = built_files(folder)
    monkeypatch.setattr("shelfwire.web.pages.built_files", lambda: {**built, "admin.html": built["index.html"]})
    async with make_server() as server:
        found = await server.http.get(f"/pages/{built['reader.js'].hashed_name}")
        others = [await server.http.get(f"/pages/{name}") for name in ("reader.js", "reader.0.js", "..%2findex.html")]
    assert (found.status_code, found.text) == (200, "1")
    assert found.headers["content-type"] == "text/javascript; charset=utf-8"
    assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert found.headers["x-content-type-options"] == "nosniff"
    assert [answer.status_code for answer in others] == [404, 404, 404]


@pytest.mark.parametrize(("pages", "statuses"), [("all", (200, 200)), ("reader", (200, 404)), ("off", (404, 404))])
async def test_the_setting_says_which_pages_there_are(
    make_server: MakeServer, pages: str, statuses: tuple[int, int]
) -> None:
    async with make_server(pages=pages) as server:
        found = [(await server.http.get(path)).status_code for path in ("/", "/admin")]
    assert tuple(found) == statuses


async def test_the_operators_page_is_unknown_where_no_key_opens_it(make_server: MakeServer, tmp_path: Path) -> None:
    async with make_server() as server:
        without = await server.http.get("/admin", headers=FORWARDED)
    async with make_server(keys_file=key_file(tmp_path, Role.CREATE)) as server:
        lesser = await server.http.get("/admin", headers=FORWARDED)
    async with make_server(keys_file=key_file(tmp_path, Role.READ)) as server:
        opened = await server.http.get("/admin", headers=FORWARDED)
    assert [answer.status_code for answer in (without, lesser, opened)] == [404, 404, 200]


@pytest.mark.parametrize(
    ("options", "asked", "location"),
    [
        ({}, "/admin/", "/admin"),
        ({"root_path": "/jobs"}, "/admin/", "/jobs/admin"),
        ({"root_path": "/jobs"}, "/", None),
    ],
)
async def test_a_page_is_only_where_its_relative_links_are_right(
    make_server: MakeServer, options: dict[str, Any], asked: str, location: str | None
) -> None:
    async with make_server(**options) as server:
        answer: httpx2.Response = await server.http.get(asked, follow_redirects=False)
    assert (answer.status_code, answer.headers.get("location")) == (
        (200, None) if location is None else (308, location)
    )


def test_an_application_that_shelfwire_is_mounted_into_has_no_pages(tmp_path: Path) -> None:
    app: Shelfwire = shelfwire(tmp_path)
    with TestClient(in_starlette(app)) as client:
        assert [client.get(f"{MOUNT}{path}").status_code for path in ("/", "/admin")] == [404, 404]
        assert client.get(f"{MOUNT}/health/live").status_code == 200
