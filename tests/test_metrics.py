from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus

from shelfwire.books.codes import BookCode
from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.job import create
from shelfwire.protocol.messages import JobError
from shelfwire.protocol.tokens import Grant
from shelfwire.settings import Secret
from tests.live import MakeServer, Server, bearer, live_server, next_of

KEY = "a-key-of-the-web-app"


async def figures(server: Server) -> dict[tuple[str, ...], float]:
    """All figures by name and the values of their labels, these by their names' order."""
    response = await server.http.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(response.text)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


async def test_the_figures_follow_a_job_from_its_upload_to_its_end(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        before = await figures(server)
        job = await server.submit()
        async with server.socket(job) as socket:
            await next_of(socket, "job_started")
            server.gate.steps.put_nowait(3)
            while (await next_of(socket, "job_progress")).payload.processed_count < 3:  # type: ignore[union-attr]
                pass
            during = await figures(server)
            server.gate.steps.put_nowait(None)
            frames = [frame async for frame in socket]
        after = await figures(server)
    name = "shelfwire_jobs", "csv_import", "cluster"
    assert [before[*name, "running"], during[*name, "running"], after[*name, "running"]] == [0, 1, 0]
    assert [before[*name, "complete"], during[*name, "complete"], after[*name, "complete"]] == [0, 0, 1]
    assert during["shelfwire_followers", "websocket"] == 1
    assert ("shelfwire_followers", "websocket") not in after
    assert (
        after["shelfwire_items_total", "ok", "csv_import"] == during["shelfwire_items_total", "ok", "csv_import"] == 3
    )
    told = after["shelfwire_sent_bytes_total",] - during["shelfwire_sent_bytes_total",]
    assert told == sum(len(str(frame).encode()) for frame in frames)
    assert before["shelfwire_received_bytes_total",] == 0
    assert during["shelfwire_received_bytes_total",] > len(b"Title\nEmma\n")
    assert after["shelfwire_commit_seconds_count",] > during["shelfwire_commit_seconds_count",] > 0
    assert after["shelfwire_queue_age_seconds", "cluster"] == 0
    assert after["process_resident_memory_bytes",] > 0


async def test_errors_are_counted_by_code_whoever_was_told_them(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit(b"Title\n")
        state = await server.ended(job)
        await server.http.get(job["links"]["self"], headers=bearer("wrong"))
        await server.http.get("/nowhere")
        with pytest.raises(InvalidStatus):
            await server.socket(query=f"jobId={job['jobId']}&token=wrong")
        found = await figures(server)
    assert state["error"]["code"] == BookCode.CSV_NO_BOOKS
    errors = {key[1:]: value for key, value in found.items() if key[0] == "shelfwire_errors_total"}
    assert errors == {
        (BookCode.CSV_NO_BOOKS, "job"): 1,
        (Code.UNAUTHORIZED, "answer"): 2,
        (Code.NOT_FOUND, "answer"): 1,
    }


async def test_a_job_that_was_canceled_before_it_started_is_counted_too(make_server: MakeServer) -> None:
    async with make_server(gated=True, workers=1) as server:
        await server.submit()
        waiting = await server.submit()
        await server.http.post(waiting["links"]["cancel"], headers=bearer(waiting["token"]))
        found = await figures(server)
    assert found["shelfwire_errors_total", Code.JOB_CANCELED, "job"] == 1
    assert found["shelfwire_jobs", "csv_import", "cluster", "canceled"] == 1


async def test_while_the_store_cannot_be_read_the_other_figures_are_still_told(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object) -> None:
        raise ShelfwireError(Code.STORAGE_UNAVAILABLE)

    async with make_server() as server:
        monkeypatch.setattr(server.app.service._store, "counts", unavailable)
        found = await figures(server)
    assert not [key for key in found if key[0] == "shelfwire_jobs"]
    assert ("shelfwire_sent_bytes_total",) in found


async def test_two_applications_in_one_process_count_by_themselves(make_server: MakeServer, tmp_path: Path) -> None:
    async with make_server() as one, live_server(tmp_path / "other") as other:
        await one.http.get("/nowhere")
        counted = [await figures(server) for server in (one, other)]
    key = "shelfwire_errors_total", Code.NOT_FOUND, "answer"
    assert [key in found for found in counted] == [True, False]


async def test_no_id_token_key_or_text_of_a_caller_is_a_label(make_server: MakeServer) -> None:
    async with make_server(api_keys=(Secret(KEY),)) as server:
        data: dict[str, Any] = {
            "files": {"file": ("Secret Library.csv", b"Title\nDune Messiah\n")},
            "headers": {"X-API-Key": KEY},
        }
        job = (await server.http.post("/api/import/csv-gemini", **data)).json()["data"]
        await server.ended(job)
        await server.http.post("/api/pipelines/unheard-of/jobs", **data)
        response = await server.http.get(f"/metrics?token={job['token']}", headers={"X-Request-Id": "the-phone"})
    said = [job["jobId"], job["token"], KEY, "Dune", "Library", "unheard-of", "127.0.0.1", "the-phone"]
    assert [word for word in said if word in response.text] == []


async def test_pipelines_and_codes_that_nobody_knows_are_counted_together(make_server: MakeServer) -> None:
    async with make_server() as server:
        service, metrics = server.app.service, server.app._metrics
        for number in range(3):
            state = create(f"job-{number}", f"of-another-version-{number}", now=service.now())
            await service._store.create(state, Grant(digest=bytes([number]) * 32, job_id=state.id))
            metrics.recorded(state.pipeline, 2, 0)
            error = JobError(code=f"E_MADE_UP_{number}", message="", user_message="", retryable=False)
            metrics.ended(msgspec.structs.replace(state, error=error))
            metrics.answered(f"E_MADE_UP_{number}", 0)
        found = await figures(server)
        text = (await server.http.get("/metrics")).text
    assert found["shelfwire_jobs", "other", "cluster", "queued"] == 3
    assert found["shelfwire_items_total", "ok", "other"] == 6
    assert found["shelfwire_errors_total", "other", "job"] == found["shelfwire_errors_total", "other", "answer"] == 3
    assert "another-version" not in text
    assert "MADE_UP" not in text


async def test_a_scraper_that_prefers_openmetrics_gets_it(make_server: MakeServer) -> None:
    async with make_server() as server:
        response = await server.http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")
