"""A server whose process begins with few files that it may open."""

import asyncio
import contextlib
import json
import resource
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2


@asynccontextmanager
async def served(folder: Path, soft: int, hard: int, **options: Any) -> AsyncIterator[tuple[str, Path]]:
    """Run `shelfwire serve` with a limit of open files; its URL and its log."""
    log = folder / "log"
    flags = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    words = [
        sys.executable,
        "-m",
        "shelfwire",
        "serve",
        "--json",
        "--port",
        "0",
        "--data",
        str(folder / "data"),
        *flags,
    ]
    limits = f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))"
    begin = f"import os, resource, sys; {limits}; os.execv(sys.argv[1], sys.argv[1:])"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", begin, *words, stdout=asyncio.subprocess.PIPE, stderr=errors
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            yield json.loads(await process.stdout.readline())["url"], log
    finally:
        process.terminate()
        await process.wait()


async def alive(url: str) -> bool:
    async with httpx2.AsyncClient(timeout=20) as http:
        return (await http.get(f"{url}/health/live")).status_code == 200


async def test_the_limit_of_open_files_is_raised_as_far_as_it_goes(tmp_path: Path) -> None:
    hard = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 4096)
    async with served(tmp_path, 64, hard, max_followers=500) as (url, log):
        port = int(url.rpartition(":")[2])
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(200)]
        assert await alive(url)
        for _, writer in silent:
            writer.close()
        assert "limit of open files" not in log.read_text()


async def test_a_promise_of_followers_that_does_not_fit_is_in_the_log_at_the_start(tmp_path: Path) -> None:
    async with served(tmp_path, 256, 256, max_followers=500) as (_, log):
        assert "max_followers does not fit into the limit of open files" in log.read_text()
        assert "limit=256" in log.read_text()


async def test_silent_connections_make_room_for_others_and_the_log_says_so(tmp_path: Path) -> None:
    async with served(tmp_path, 96, 96) as (url, log):
        port = int(url.rpartition(":")[2])
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(300)]
        assert await alive(url)
        async with httpx2.AsyncClient(timeout=20) as http:
            made = await http.post(f"{url}/api/import/csv-gemini", files={"file": ("a.csv", b"Title\nEmma\n")})
        assert made.status_code == 202
        for _, writer in silent:
            writer.close()
    assert log.read_text().count("connections refused") == 1


async def test_while_all_connections_are_busy_health_is_answered_and_the_rest_is_refused(tmp_path: Path) -> None:
    head = b"POST /api/import/csv-gemini HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n"
    kind = b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b"
    async with served(tmp_path, 96, 96, create_limit=0) as (url, log):
        port = int(url.rpartition(":")[2])
        uploads = []
        for _ in range(120):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head + kind)
            uploads.append((reader, writer))
        async with httpx2.AsyncClient(timeout=20) as http:
            refused = await http.get(f"{url}/metrics")
            while refused.status_code != 503:
                refused = await http.get(f"{url}/metrics")
            stream = await http.get(f"{url}/api/jobs/a-job/events")
        assert refused.headers["x-error-code"] == stream.headers["x-error-code"] == "E_OVERLOADED"
        assert (stream.status_code, stream.text) == (200, "retry: 2000\n\n"), "a browser comes back"
        assert stream.headers["access-control-allow-origin"] == "*", "from whatever website its page is"
        assert await alive(url)
        for _, writer in uploads:
            writer.close()
    assert "connections refused" in log.read_text()


async def test_uploads_that_drip_shut_others_out_for_no_longer_than_their_deadline(tmp_path: Path) -> None:
    head = b"POST /api/import/csv-gemini HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n"
    kind = b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b"
    async with served(tmp_path, 64, 64, create_limit=0, upload_deadline=1) as (url, log):
        port = int(url.rpartition(":")[2])
        uploads = [(await asyncio.open_connection("127.0.0.1", port))[1] for _ in range(44)]
        for writer in uploads:
            writer.write(head + kind)
        statuses: set[int] = set()
        async with asyncio.timeout(60):
            while not {202, 503} <= statuses:
                for writer in uploads:
                    if not writer.is_closing():
                        writer.write(b"x")
                assert await alive(url)
                async with httpx2.AsyncClient(timeout=20) as http:
                    with contextlib.suppress(httpx2.TransportError):
                        made = await http.post(
                            f"{url}/api/import/csv-gemini", files={"file": ("a.csv", b"Title\nEmma\n")}
                        )
                        statuses.add(made.status_code)
        for writer in uploads:
            writer.close()
    assert "connections refused" in log.read_text()
