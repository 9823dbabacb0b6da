"""A worker outside of the server, as plain requests."""

from dataclasses import dataclass
from typing import Any, Self

import httpx2

from tests.live import Server, bearer

PIPELINE = "pdf_report"


def done(*indices: int) -> list[dict[str, Any]]:
    return [{"index": index, "ok": True, "title": f"Page {index}", "result": {"page": index}} for index in indices]


def failed(index: int, code: str = "E_PAGE_BLANK", **error: Any) -> dict[str, Any]:
    return {"index": index, "ok": False, "error": {"code": code, "userMessage": "This page is blank.", **error}}


@dataclass
class Attempt:
    """One attempt, by its report token."""

    server: Server
    job_id: str
    token: str
    data: dict[str, Any]
    owner: str = ""

    @classmethod
    async def create(cls, server: Server, **wanted: Any) -> Self:
        response = await server.http.post("/api/jobs", json={"pipeline": PIPELINE, **wanted})
        assert response.status_code == 202, response.text
        data = response.json()["data"]
        return cls(server, data["jobId"], data["reportToken"], data, data["token"])

    @classmethod
    async def claim(cls, server: Server, **wanted: Any) -> Self:
        response = await server.http.post("/api/work/claim", json={"pipelines": [PIPELINE], **wanted})
        assert response.status_code == 200, response.text
        data = response.json()["data"]
        return cls(server, data["state"]["jobId"], data["reportToken"], data)

    async def ask(self, method: str, below: str, **options: Any) -> httpx2.Response:
        return await self.server.http.request(
            method,
            f"/api/jobs/{self.job_id}{below}",
            headers=bearer(self.token) | options.pop("headers", {}),
            **options,
        )

    async def send(self, content: bytes) -> httpx2.Response:
        return await self.ask("POST", "/report", content=content)

    async def refused(self, **report: Any) -> httpx2.Response:
        return await self.ask("POST", "/report", json=report)

    async def report(self, **report: Any) -> dict[str, Any]:
        response = await self.ask("POST", "/report", json=report)
        assert response.status_code == 200, response.text
        data: dict[str, Any] = response.json()["data"]
        return data

    async def log(self) -> list[dict[str, Any]]:
        response = await self.ask("GET", "/log?limit=1000")
        assert response.status_code == 200, response.text
        items: list[dict[str, Any]] = response.json()["data"]["items"]
        return items

    async def state(self) -> dict[str, Any]:
        return await self.server.state({"jobId": self.job_id, "token": self.owner})


async def submit(server: Server, data: bytes = b"%PDF", pipeline: str = PIPELINE) -> dict[str, Any]:
    """Create a job that waits for a worker, as its owner does."""
    response = await server.http.post(f"/api/pipelines/{pipeline}/jobs", files={"file": ("a.pdf", data)})
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()["data"]
    return job
