import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.figures import BUCKETS, History, quantiles
from shelfwire.jobs.telemetry import Figure
from shelfwire.metrics import Metrics
from shelfwire.protocol.messages import Message, Ping, SyncRequest, encode
from shelfwire.web.keys import Role
from tests.live import MakeServer, Server, bearer, next_of, until
from tests.web.remote_work import Attempt, submit
from tests.web.test_http import assert_problem
from tests.web.test_operator import KEYS, Operated, by, key_file, operated


async def overview(them: Operated) -> dict[str, Any]:
    them.server.app._engine.operator._shared.clear()  # ask anew
    found: dict[str, Any] = await them.data("GET", "/api/admin/overview")
    return found


async def figures(server: Server) -> dict[str, float]:
    text = (await server.http.get("/metrics")).text
    return {
        f"{sample.name}{sorted(sample.labels.values())}": sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_the_overview_says_who_works_what_waits_and_how_long_it_takes(
    make_server: MakeServer, tmp_path: Path
) -> None:
    async with operated(make_server, tmp_path, workers=1) as them:
        job, _ = await them.server.submit(), await them.server.submit()
        work = await Attempt.create(them.server, worker="gpu-1")
        await work.report(number=1, totalCount=1)
        async with them.server.socket(job) as socket:
            await next_of(socket, "job_started")
            them.server.gate.steps.put_nowait(3)
            await next_of(socket, "job_progress")
            them.server.gate.steps.put_nowait(None)
            await next_of(socket, "job_complete")
        await until(lambda: bool(them.server.gate.steps.empty()))
        found = await overview(them)
    held = {holder["name"]: holder for holder in found["workers"]}
    assert held["gpu-1"] == {"name": "gpu-1", "remote": True, "jobs": [work.job_id]}
    assert found["jobs"]["csv_import"]["complete"] == 1
    assert found["jobs"]["pdf_report"] == {"running": 1}
    assert found["queue"]["length"] in {0, 1}
    assert found["items"] == 3
    assert found["nodes"][0]["workers"] == 1
    for name, least in (("queueWait", 2), ("jobDuration", 1), ("commit", 2), ("commitToReceipt", 1)):
        times = found["times"]["15m"][name]
        assert times["count"] >= least, name
        assert 0 < times["p50"] <= times["p99"]
    assert found["rates"]["completePerMinute"] == pytest.approx(1 / 15)
    assert found["disk"]["dataBytes"] > 0
    assert found["success"]["unauthorized"]["bad"] == 0
    assert found["success"]["unauthorized"]["total"] > 0


async def test_the_overview_comes_as_events_until_the_server_leaves(make_server: MakeServer, tmp_path: Path) -> None:
    async with (
        operated(make_server, tmp_path) as them,
        them.server.http.stream("GET", "/api/admin/events", headers=by(Role.READ)) as events,
    ):
        lines = events.aiter_lines()
        while (await anext(lines)) != "event: overview":
            pass
        assert json.loads((await anext(lines)).removeprefix("data: "))["followers"] == {}
        them.server.app.dismiss()
        rest = [line async for line in lines]
    assert "event: overview" not in rest


@pytest.mark.parametrize("path", ["/api/admin/overview", "/api/admin/events"])
async def test_the_overview_asks_for_the_key_of_an_operator(make_server: MakeServer, tmp_path: Path, path: str) -> None:
    async with make_server(keys_file=key_file(tmp_path, *Role)) as server:
        assert_problem(await server.http.get(path), 401, Code.UNAUTHORIZED)
        assert_problem(await server.http.get(path, headers=by(Role.WORK)), 403, Code.FORBIDDEN)
        token = (await server.http.post("/api/jobs", json={"pipeline": "x"}, headers=by(Role.WORK))).status_code
        assert token in {202, 404}


async def test_what_clients_say_of_their_connections_is_counted_within_bounds(
    make_server: MakeServer, tmp_path: Path
) -> None:
    def frame(payload: Ping | SyncRequest) -> str:
        return encode(Message(job_id="", pipeline="", timestamp=0, payload=payload))

    async with operated(make_server, tmp_path) as them:
        job = await them.server.submit()
        async with them.server.socket(job) as socket:
            await socket.send(frame(SyncRequest(tries=3)))
            await socket.send(frame(SyncRequest()))
            await socket.send(frame(Ping(client_time=1, lost=2, undecodable=10**9)))
            await next_of(socket, "pong")
        success = (await overview(them))["success"]
        again = (await overview(them))["success"]
        exposed = await figures(them.server)
    returns = {"bad": 2, "total": 3}
    assert success["reconnects"] == {**returns, "day": returns, "sinceStart": returns, "target": 0.02}
    assert success["reconnectAttempts"] == {**returns, "day": returns, "sinceStart": returns, "target": None}
    assert success["undecodable"]["day"] == {"bad": 100, "total": 100}
    assert again["reconnects"] == success["reconnects"]
    assert exposed["shelfwire_outcomes_total['bad', 'undecodable']"] == 100


async def test_jobs_that_a_restart_found_begun_are_counted_and_then_as_recovered(
    make_server: MakeServer, tmp_path: Path
) -> None:
    async with operated(make_server, tmp_path) as them:
        job = await them.server.submit()
        async with them.server.socket(job) as socket:
            await next_of(socket, "job_started")
    async with operated(make_server, tmp_path) as them:
        async with them.server.socket(job) as socket:
            them.server.gate.steps.put_nowait(None)
            await next_of(socket, "job_complete")
        recovered = (await overview(them))["success"]["recovered"]
        assert recovered["day"] == recovered["sinceStart"] == {"bad": 0, "total": 1}


async def test_a_good_token_that_is_refused_is_counted(
    make_server: MakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_: Any, **__: Any) -> None:
        raise ShelfwireError(Code.UNAUTHORIZED)

    async with operated(make_server, tmp_path) as them:
        job = await them.server.submit()
        await them.server.http.get(f"/api/jobs/{job['jobId']}", headers=bearer("wrong"))
        assert (await overview(them))["success"]["unauthorized"]["day"] == {"bad": 0, "total": 0}
        monkeypatch.setattr("shelfwire.protocol.tokens.check", refusing)
        await them.server.ask("GET", job)
        assert (await overview(them))["success"]["unauthorized"]["day"] == {"bad": 1, "total": 1}


async def test_figures_have_labels_of_names_that_are_configured_alone(make_server: MakeServer) -> None:
    async with make_server() as server:
        await submit(server)
        work = await Attempt.claim(server)
        await work.report(number=1, totalCount=1, end={"fail": {"code": "E_OWN", "userMessage": "No."}})
        await server.http.get("/api/jobs/some-id/events")
        found = await figures(server)
    assert found["shelfwire_queue_wait_seconds_count['other']"] == 1
    assert found["shelfwire_report_seconds_count[]"] == 1
    assert found["shelfwire_http_seconds_count['/api/jobs/{job_id}/events']"] == 1
    assert not [name for name in found if "pdf_report" in name or "E_OWN" in name or "some-id" in name]


async def test_no_key_is_in_the_overview(make_server: MakeServer, tmp_path: Path) -> None:
    async with operated(make_server, tmp_path) as them:
        text = (await them.ask("GET", "/api/admin/overview")).text
    assert not [key for key in KEYS.values() if key in text]


@given(st.lists(st.floats(0.001, 500), min_size=1, max_size=200))
def test_a_quantile_is_right_to_a_quarter(durations: list[float]) -> None:
    counts = [0] * (len(BUCKETS) + 1)
    for duration in durations:
        counts[next(place for place, bound in enumerate(BUCKETS) if duration <= bound)] += 1
    found = quantiles(counts)
    order = sorted(durations)
    for part, quantile in ((0.5, found.p50), (0.99, found.p99)):
        true = order[math.ceil(part * len(order) - 1e-9) - 1]
        assert quantile is not None
        assert abs(math.log(quantile / true)) <= math.log(1.5) / 2 + 1e-4


def test_quantiles_are_of_the_window_and_none_without_durations() -> None:
    history, metrics = History(), Metrics([])
    history.add(0, metrics.snapshot())
    metrics.committed(0.002)
    history.add(10, metrics.snapshot())
    for _ in range(3):
        metrics.committed(5)
    now = metrics.snapshot()
    assert history.since(0, now)["commit"].number == 4
    recent = history.since(5, now)["commit"]
    assert recent.number == 3
    assert recent.p50 == pytest.approx(5, rel=0.23)
    assert history.since(5, now)["queueWait"] == (0, None, None)
    assert history.since(99, now)["commit"].number == 4


def test_a_series_has_the_quantiles_of_each_step_and_ends_now() -> None:
    history, metrics = History(), Metrics([])
    for taken in range(0, 40, 10):
        history.add(taken, metrics.snapshot())
        metrics.committed(0.002 if taken < 20 else 5)
    steps = history.series(0, 10, (35, metrics.snapshot()))
    assert [end for end, _ in steps] == [10, 20, 30, 35]
    assert [by_name["commit"].number for _, by_name in steps] == [1, 1, 1, 1]
    assert steps[0][1]["commit"].p50 == pytest.approx(0.002, rel=0.23)
    assert steps[3][1]["commit"].p50 == pytest.approx(5, rel=0.23)
    assert steps[0][1]["queueWait"] == (0, None, None)
    assert [end for end, _ in history.series(15, 10, (35, metrics.snapshot()))] == [30, 35]
    assert history.series(99, 10, (99, metrics.snapshot())) == []


def test_a_series_of_long_steps_is_of_the_snapshots_that_are_kept_for_long() -> None:
    history, metrics = History(), Metrics([])
    for taken in range(0, 7210, 10):
        history.add(taken, metrics.snapshot())
        metrics.committed(0.002)
    steps = history.series(0, 3600, (7210, metrics.snapshot()))
    assert [end for end, _ in steps] == [3600, 7200, 7210]
    assert [by_name["commit"].number for _, by_name in steps] == [360, 360, 1]


@pytest.mark.parametrize("window", ["15m", "6h", "7d"])
async def test_charts_get_a_list_as_long_as_their_times(make_server: MakeServer, tmp_path: Path, window: str) -> None:
    async with operated(make_server, tmp_path) as them:
        found = await them.data("GET", "/api/admin/series", params={"window": window}, headers=by(Role.READ))
        refused = await them.ask("GET", "/api/admin/series", params={"window": "1y"})
    assert found["window"] == window
    assert set(found["series"]) == {"queueWait", "jobDuration", "commit", "commitToReceipt"}
    assert all(len(values) == len(found["at"]) for one in found["series"].values() for values in one.values())
    assert_problem(refused, 400, Code.INVALID_REQUEST)


def test_a_duration_above_all_buckets_is_shown_as_the_last() -> None:
    metrics = Metrics([])
    metrics.committed(10**6)
    assert quantiles(metrics.snapshot()["commit"]).p50 == BUCKETS[-1]


def test_what_could_not_be_stored_is_noted_again() -> None:
    metrics = Metrics([])
    metrics.noted(Figure.RECONNECTS, 1, 2)
    taken = metrics.take_tallies()
    metrics.noted(Figure.RECONNECTS)
    metrics.put_back(taken)
    assert metrics.take_tallies() == {Figure.RECONNECTS: (1, 3)}
    assert metrics.take_tallies() == {}
