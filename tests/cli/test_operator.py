"""What operators do on the machine of their server, without a key."""

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from shelfwire.cli import admin

from .conftest import Here


@pytest.fixture
def operate(here: Here, server: dict[str, Any]) -> Here:
    """Runs a command on the data folder of the server."""
    return lambda *words: here(*words, "--data", server["data"])


def begin(server: dict[str, Any], tag: str, **wanted: Any) -> str:
    """Begin a job that nobody of this machine's list knows."""
    body = {"pipeline": "pdf_report", "totalCount": 3, "leaseSeconds": 600, "tags": [tag], **wanted}
    job: str = httpx2.post(f"{server['url']}/api/jobs", json=body).json()["data"]["jobId"]
    return job


def listed(operate: Here, *words: str) -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = json.loads(operate("jobs", "--all", "--json", *words)[1])
    return jobs


def test_the_jobs_of_everybody_are_listed_without_a_key(operate: Here, server: dict[str, Any]) -> None:
    ids = [begin(server, "listed", worker="w") for _ in range(3)]
    assert [job["jobId"] for job in listed(operate, "--tag", "listed")] == ids[::-1]
    assert listed(operate, "--tag", "listed", "--status", "failed,complete") == []
    assert len(listed(operate, "--tag", "listed", "--pipeline", "pdf_report", "--search", ids[0])) == 1
    code, out, _ = operate("jobs", "--all", "--tag", "listed", "--limit", "2")
    lines = out.splitlines()
    assert (code, len(lines), lines[2]) == (0, 3, "There are more: --limit 20")
    assert lines[0].startswith(ids[2][:8])
    assert operate("jobs", "--all", "--tag", "nobody")[1] == "No jobs match\n"


@pytest.mark.parametrize(
    ("verb", "said", "status"),
    [("cancel", "Asked the job", "canceling"), ("pause", "Asked the job", "running"), ("delete", "Deleted", None)],
)
def test_a_job_that_somebody_else_started_is_steered_by_its_id(
    operate: Here, server: dict[str, Any], verb: str, said: str, status: str | None
) -> None:
    job = begin(server, f"one-{verb}")
    code, out, err = operate(verb, job[:13])
    assert (code, err) == (0, "")
    assert out.startswith(said)
    assert job in out
    assert [one["status"] for one in listed(operate, "--tag", f"one-{verb}")] == ([] if status is None else [status])


def test_an_id_that_no_job_has_is_refused_as_ever(operate: Here, server: dict[str, Any]) -> None:
    for job in ("00000000", "0000", "last"):
        code, _, err = operate("cancel", job)
        assert code == 2
        assert "known" in err
    code, _, err = operate("resume", begin(server, "resumed"))
    assert (code, "cannot be resumed" in err or "resume" in err) == (4, True)


def test_the_page_is_opened_in_a_browser_with_a_code_in_place_of_a_key(
    operate: Here, server: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    code, out, err = operate("admin", "open")
    assert (code, err) == (0, "")
    (address,) = opened
    assert out.splitlines()[-1] == address
    page, _, once = address.partition("#/code/")
    assert page == f"{server['url']}/admin"
    answer = httpx2.post(f"{server['url']}/api/admin/session/key", json={"code": once})
    assert answer.json()["data"]["name"] == "(this machine)"


def test_the_page_needs_a_server_that_stays(here: Here, tmp_path: Path) -> None:
    code, _, err = here("admin", "open", "--data", str(tmp_path))
    assert code == 4
    assert "shelfwire serve" in err


def test_many_jobs_are_counted_first_and_touched_only_when_that_is_confirmed(
    operate: Here, server: dict[str, Any]
) -> None:
    for _ in range(2):
        begin(server, "many")
    code, out, err = operate("admin", "bulk", "delete", "--tag", "many")
    assert (code, out) == (2, "Jobs to delete: 2\n")
    assert "--yes" in err
    assert len(listed(operate, "--tag", "many")) == 2
    assert operate("admin", "bulk", "delete", "--tag", "many", "--yes")[:2] == (0, "Jobs to delete: 2\nDone: 2\n")
    assert operate("admin", "bulk", "delete", "--tag", "many", "--yes")[1] == "Jobs to delete: 0\n"
    code, out, _ = operate("admin", "audit", "--limit", "1")
    assert (code, "bulk:delete  ok  2 of 2 jobs" in out) == (0, True)
    assert "(this machine)" in out
    (act,) = json.loads(operate("admin", "audit", "--limit", "1", "--json")[1])
    assert act["action"] == "bulk:delete"


@pytest.mark.parametrize("name", ["search", "pipeline", "tag", "status"])
@pytest.mark.parametrize("empty", ["", " ", ","])
def test_an_empty_filter_does_not_stand_for_all_jobs(
    operate: Here, server: dict[str, Any], name: str, empty: str
) -> None:
    begin(server, "kept")
    before = listed(operate, "--tag", "kept")
    code, out, err = operate("admin", "bulk", "delete", f"--{name}", empty, "--yes")
    assert (code, out) == (2, "")
    assert f"--{name} is empty" in err
    assert listed(operate, "--tag", "kept") == before


def test_a_limit_below_one_is_refused(operate: Here) -> None:
    code, out, err = operate("jobs", "--all", "--limit", "0")
    assert (code, out) == (2, "")
    assert "--limit is 1 or more" in err


def test_the_overview_fits_into_80_columns(operate: Here, server: dict[str, Any]) -> None:
    begin(server, "shown", worker="w" * 100)
    code, out, err = operate("admin", "overview")
    assert (code, err) == (0, "")
    assert max(map(len, out.splitlines())) <= 80
    assert "pdf_report: " in out
    assert "Webhooks   0 waiting, 0 given up" in out
    assert {"queue", "jobs", "success"} <= set(json.loads(operate("admin", "overview", "--json")[1]))


@pytest.mark.parametrize(("p50", "p99"), [(0.000816, 0.000816), (0.00276, 0.00413), (14.1, 647.0), (800.0, 800.0)])
def test_two_quantiles_fit_into_a_column(p50: float, p99: float) -> None:
    assert len(admin._times({"count": 1, "p50": p50, "p99": p99})) < 18


def test_filters_of_all_jobs_are_refused_for_ones_own(here: Here) -> None:
    code, _, err = here("jobs", "--status", "failed")
    assert (code, "add --all" in err) == (2, True)


def test_a_bad_filter_is_refused_with_what_can_be_given(operate: Here) -> None:
    code, _, err = operate("jobs", "--all", "--status", "borken")
    assert (code, "status is not valid" in err) == (4, True)


def test_a_server_by_its_url_asks_for_a_key(
    here: Here, server: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHELFWIRE_DATA")
    code, _, err = here("jobs", "--all", "--server", server["url"])
    assert (code, "SHELFWIRE_API_KEY" in err) == (4, True)
    key = json.loads((Path(server["data"]) / "server.json").read_text())["adminKey"]
    monkeypatch.setenv("SHELFWIRE_API_KEY", key)
    assert here("jobs", "--all", "--server", server["url"])[0] == 0
