"""The photos of a scan, shown again."""

import asyncio
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from shelfwire.books.ai_scan import pipeline
from shelfwire.books.ai_scan.pipeline import AiScan
from shelfwire.errors import Code, ShelfwireError
from tests.books.ai_scan.scripted import RED, photo
from tests.books.ai_scan.test_photos import GPS, MAKE, ORIENTATION, saved, shelf
from tests.books.ai_scan.test_pipeline import BATCH, DUNE, images, made, scanning
from tests.live import MakeServer, Server, bearer


def turned() -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKE], exif[GPS] = 6, "SecretCamera", {1: "N", 2: (52.0, 31.0, 12.0)}
    return saved(shelf(), "JPEG", exif=exif)


async def asked(server: Server, job: dict[str, Any], number: object = 0, **options: Any) -> Any:
    return await server.ask("GET", job, f"/photos/{number}", **options)


async def test_a_photo_is_shown_upright_small_and_without_what_the_camera_noted(tmp_path: Path) -> None:
    async with scanning(tmp_path) as server:
        job = await made(server, BATCH, files=images(turned(), photo(DUNE, DUNE)))
        whole = await asked(server, job)
        small = await asked(server, job, params={"width": 32})
        second = await asked(server, job, 1)
        known = await asked(server, job, headers={"If-None-Match": whole.headers["etag"]})
    assert whole.headers["content-type"] == "image/jpeg"
    assert whole.headers["cache-control"] == "private, no-cache"
    assert whole.headers["x-content-type-options"] == "nosniff"
    image = Image.open(io.BytesIO(whole.content))
    assert (image.format, image.size) == ("JPEG", (64, 96))
    assert not image.getexif()
    assert b"Secret" not in whole.content
    assert Image.open(io.BytesIO(small.content)).size == (32, 48)
    assert Image.open(io.BytesIO(second.content)).size == (128, 64)
    assert small.headers["etag"] != whole.headers["etag"] != second.headers["etag"]
    assert (known.status_code, known.content, known.headers["etag"]) == (304, b"", whole.headers["etag"])


async def test_a_photo_is_for_who_may_have_the_results(tmp_path: Path) -> None:
    async with scanning(tmp_path) as server:
        job = await made(server, BATCH, files=images(photo(DUNE)))
        watching = (await server.ask("POST", job, "/token", json={"scopes": ["watch"]})).json()["data"]
        refused = await server.http.get(f"/api/jobs/{job['jobId']}/photos/0", headers=bearer(watching["token"]))
        nobody = await server.http.get(f"/api/jobs/{job['jobId']}/photos/0")
    assert [answer.status_code for answer in (refused, nobody)] == [403, 401]


@pytest.mark.parametrize(
    ("number", "query", "code"),
    [
        (1, {}, Code.NOT_FOUND),
        (20, {}, Code.NOT_FOUND),
        ("00", {}, Code.NOT_FOUND),
        ("\u0661", {}, Code.NOT_FOUND),
        (0, {"width": 15}, Code.INVALID_REQUEST),
        (0, {"width": 100_000}, Code.INVALID_REQUEST),
    ],
)
async def test_a_photo_that_is_not_there_is_not_shown(tmp_path: Path, number: object, query: Any, code: Code) -> None:
    async with scanning(tmp_path) as server:
        job = await made(server, BATCH, files=images(photo(DUNE)))
        answer = await asked(server, job, number, params=query)
    assert answer.json()["code"] == code


async def test_what_is_no_photo_is_refused_and_the_next_one_shown(tmp_path: Path) -> None:
    async with scanning(tmp_path) as server:
        job = await made(server, BATCH, files=images(b"\xff\xd8\xff no photo at all", photo(RED)))
        broken = await asked(server, job)
        whole = await asked(server, job, 1)
    assert (broken.status_code, broken.json()["code"]) == (422, "E_IMAGE_UNREADABLE")
    assert whole.status_code == 200


async def test_a_job_of_another_kind_has_no_photos(make_server: MakeServer) -> None:
    async with make_server() as server:
        answer = await asked(server, await server.submit())
    assert answer.json()["code"] == Code.NOT_FOUND


async def test_one_photo_at_a_time_is_in_memory_and_few_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MAX_VIEWS", 2)
    scan, gate, reading = AiScan(), asyncio.Event(), list[str]()

    async def read(name: str) -> bytes:
        reading.append(name)
        await gate.wait()
        return b""

    waiting = [asyncio.create_task(scan.shown(name, read, None)) for name in ("one", "two")]
    await asyncio.sleep(0)
    with pytest.raises(ShelfwireError) as refused:
        await scan.shown("three", read, None)
    assert (refused.value.code, reading) == (Code.OVERLOADED, ["one"])
    gate.set()
    assert await asyncio.gather(*waiting) == [None, None]
    assert await scan.shown("three", read, None) is None
