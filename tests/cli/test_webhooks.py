"""`shelfwire webhooks` lists and repeats the calls of a server."""

import asyncio
from pathlib import Path

import httpx2
import pytest

from tests.receiver import SECRET, receiver
from tests.servers import Server

from .conftest import Shelfwire

GONE = "HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
def key(shelfwire: Shelfwire, tmp_path: Path) -> str:
    return shelfwire("keys", "new", "--role", "admin", "--data", str(tmp_path / "data")).stdout.strip()


async def test_an_operator_lists_what_was_given_up_and_has_it_tried_again(
    shelfwire: Shelfwire, tmp_path: Path, key: str
) -> None:
    async with receiver(GONE) as them:
        url = f"http://127.0.0.1:{them.port}/?job=17"
        settings = {"callback_hosts": [f"127.0.0.1:{them.port}"], "callback_secrets": [SECRET]}
        headers = {"X-API-Key": key}
        data = ["--data", str(tmp_path / "data")]

        async def run(*words: str, **env: str) -> tuple[int, str]:
            ended = await asyncio.to_thread(shelfwire, "webhooks", *words, *data, **env)
            return ended.returncode, ended.stdout + ended.stderr

        async with (
            Server(tmp_path / "data", settings) as server,
            httpx2.AsyncClient(base_url=server.url, headers=headers) as http,
        ):
            wanted = {"pipeline": "pdf_report", "callbackUrl": url}
            job = (await http.post("/api/jobs", json=wanted)).json()["data"]
            await http.delete(f"/api/jobs/{job['jobId']}", headers={"Authorization": f"Bearer {job['token']}"})
            await them.next()
            while not (await http.get("/api/admin/webhooks?status=given_up")).json()["data"]["items"]:
                """The answer is noted in a moment."""
            code, line = await run("list", "--status", "given_up", SHELFWIRE_API_KEY=key)
            assert code == 0
            webhook_id, status, tries, _, where, error = line.strip().split("  ")
            assert webhook_id.startswith(job["jobId"])
            assert (status, tries, where, error) == ("given_up", "1 try", url, "HTTP 410")
            code, line = await run("retry", webhook_id, SHELFWIRE_API_KEY=key)
            assert (code, line.split("  ")[:2]) == (0, [webhook_id, "waiting"])
            assert (await them.next()).headers["webhook-id"] == webhook_id
            code, says = await run("retry", "no-such.1", SHELFWIRE_API_KEY=key)
            assert (code, "webhooks list" in says) == (4, True)
            code, line = await run("list")
            assert (code, line.startswith(webhook_id)) == (0, True), "who may read the data folder needs no key"
            data = ["--server", server.url]
            code, says = await run("list")
            assert (code, "SHELFWIRE_API_KEY" in says) == (4, True)
            data = ["--data", str(tmp_path / "data")]
        code, says = await run("list", SHELFWIRE_API_KEY=key)
        assert (code, "No server runs" in says) == (4, True)
