"""What can be done with a job once it runs or has ended: pause and resume, retry, results, delete; and API keys."""

import csv
import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest

from shelfwire.cli.connect import JobLocation
from shelfwire.cli.job_session import JobSession
from shelfwire.cli.jobs_file import JobsFile, KnownJob
from shelfwire.client import JobHandle
from shelfwire.clock import SystemClock
from tests.processes import UNMEASURED

from .conftest import EXPORT, MANY, Shelfwire, Start, ended, entries, read_line, read_until

ROWS, FAILED = 168, 2
SLOW = "2"
"""Seconds between two commits: the library takes about eight, so that there is something to pause."""
KEY = "a-key-of-sixteen-characters"


def outcome(text: str) -> dict[str, Any]:
    last: dict[str, Any] = json.loads(text.splitlines()[-1])
    return last


def test_a_paused_import_waits_until_it_is_resumed_and_loses_no_row(
    start: Start, shelfwire: Shelfwire, library: Path
) -> None:
    importing = start("import", str(library), SHELFWIRE_FLUSH_INTERVAL=SLOW, **UNMEASURED)
    read_line(importing)
    paused = shelfwire("pause", "last")
    assert (paused.returncode, paused.stderr) == (0, "")
    assert paused.stdout.startswith("Paused the import of library.csv ")
    assert "shelfwire resume" in paused.stdout
    assert "paused" in shelfwire("jobs").stdout
    again = shelfwire("pause", "last")
    assert (again.returncode, "is paused" in again.stderr) == (4, True)

    resumed = shelfwire("resume", "last", "--json")
    assert (resumed.returncode, resumed.stderr) == (0, "")
    last = outcome(resumed.stdout)
    assert (last["status"], last["successCount"] + last["failureCount"]) == ("complete", MANY)
    assert ended(importing).returncode == 0


def test_an_import_that_nobody_runs_is_paused_at_once_and_resumed_here(
    start: Start, shelfwire: Shelfwire, library: Path
) -> None:
    importing = start("import", str(library), SHELFWIRE_FLUSH_INTERVAL=SLOW, **UNMEASURED)
    read_line(importing)
    importing.terminate()
    assert ended(importing).returncode == 143
    assert shelfwire("pause", "last").stdout.startswith("Paused the import of library.csv ")
    resumed = shelfwire("resume", "last", "--json")
    assert outcome(resumed.stdout)["status"] == "complete"


def test_what_a_canceled_import_left_is_tried_again_as_a_job_of_its_own(
    start: Start, shelfwire: Shelfwire, env: dict[str, str], library: Path
) -> None:
    importing = start("import", str(library), SHELFWIRE_FLUSH_INTERVAL=SLOW, **UNMEASURED)
    read_line(importing)
    assert shelfwire("cancel", "last").returncode == 0
    assert ended(importing).returncode == 3
    done = entries(env)[0]["ended"]["succeeded"]
    retried = shelfwire("retry", "last", "--json")
    assert (retried.returncode, retried.stderr) == (0, "")
    last = outcome(retried.stdout)
    assert (last["status"], last["successCount"] + last["failureCount"]) == ("complete", MANY - done)
    assert entries(env)[0]["job_id"] == last["jobId"]
    assert [entry["file"] for entry in entries(env)] == [library.name] * 2


def test_what_a_job_does_not_allow_is_said_with_its_reason(
    shelfwire: Shelfwire, server: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "one.csv").write_text("Title\nEmma\n")
    assert shelfwire("import", str(tmp_path / "one.csv"), "--server", server["url"]).returncode == 0
    for command, reason in {"resume": "is complete", "pause": "is complete", "retry": "nothing to try again"}.items():
        refused = shelfwire(command, "last")
        assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (4, "", 1)
        assert reason in refused.stderr


def test_results_come_as_a_table_lines_or_an_array(
    shelfwire: Shelfwire, server: dict[str, Any], tmp_path: Path
) -> None:
    assert shelfwire("import", str(EXPORT), "--server", server["url"]).returncode == 0
    table = list(csv.DictReader(io.StringIO(shelfwire("results", "last").stdout)))
    lines = shelfwire("results", "last", "--format", "ndjson", "--status", "failed").stdout.splitlines()
    array = json.loads(shelfwire("results", "last", "--format", "json").stdout)
    assert (len(table), len(lines), len(array)) == (ROWS, FAILED, ROWS)
    assert [row["title"] for row in table] == [item.get("title", "") for item in array]
    assert not any(json.loads(line)["ok"] for line in lines)

    path = tmp_path / "results.json"
    path.write_text("what was there before")
    saved = shelfwire("results", "last", "--format", "json", "--output", str(path))
    assert (saved.returncode, saved.stdout, saved.stderr) == (0, "", "")
    assert json.loads(path.read_bytes()) == array
    assert [found.name for found in tmp_path.glob(".*.part")] == []


def test_results_that_cannot_be_saved_leave_nothing_behind(
    shelfwire: Shelfwire, server: dict[str, Any], tmp_path: Path
) -> None:
    assert shelfwire("import", str(EXPORT), "--server", server["url"]).returncode == 0
    failed = shelfwire("results", "last", "--output", str(tmp_path / "none" / "results.csv"))
    assert (failed.returncode, "cannot be written: No such file" in failed.stderr) == (2, True)
    assert shelfwire("results", "last", "--output", "/dev/null").returncode == 0
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)


def test_a_deleted_job_is_gone_from_the_server_and_from_the_list(
    shelfwire: Shelfwire, server: dict[str, Any], env: dict[str, str]
) -> None:
    for _ in range(2):
        assert shelfwire("import", str(EXPORT), "--server", server["url"]).returncode == 0
    path = Path(env["SHELFWIRE_STATE"]) / "jobs.json"
    kept = path.read_text()
    deleted = shelfwire("delete", "last")
    assert (deleted.returncode, deleted.stderr) == (0, "")
    assert deleted.stdout == f"Deleted the import of {EXPORT.name} and everything that was kept of it\n"
    assert len(entries(env)) == 1
    path.write_text(kept)
    assert "knew nothing of it" in shelfwire("delete", "last").stdout
    assert len(entries(env)) == 1


def test_who_follows_a_job_that_is_deleted_is_told_so(
    start: Start, shelfwire: Shelfwire, server: dict[str, Any], library: Path
) -> None:
    following = start("import", str(library), "--server", server["url"], "--json")
    read_until(following, "job_progress")
    assert shelfwire("delete", "last").returncode == 0
    done = ended(following)
    assert (done.returncode, "was deleted with all" in done.stderr) == (3, True)


@pytest.mark.parametrize("key", ["s3cret-but-with-an-end\n", "s3crét-not-in-ascii"])
def test_an_api_key_that_cannot_be_one_is_named_and_not_told(
    shelfwire: Shelfwire, server: dict[str, Any], key: str
) -> None:
    refused = shelfwire("import", str(EXPORT), "--server", server["url"], SHELFWIRE_API_KEY=key)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "SHELFWIRE_API_KEY cannot be used" in refused.stderr
    assert "s3cr" not in refused.stderr


def test_an_api_key_comes_from_the_environment(start: Start, shelfwire: Shelfwire) -> None:
    serving = start("serve", "--port", "0", "--json", SHELFWIRE_API_KEYS=KEY)
    url = json.loads(read_line(serving))["url"]
    refused = shelfwire("import", str(EXPORT), "--server", url)
    assert (refused.returncode, refused.stdout, "SHELFWIRE_API_KEY" in refused.stderr) == (4, "", True)
    let_in = shelfwire("import", str(EXPORT), "--server", url, SHELFWIRE_API_KEY=KEY)
    assert (let_in.returncode, let_in.stderr) == (0, "")
    serving.terminate()
    said = ended(serving)
    assert KEY not in said.stdout + said.stderr + refused.stderr + let_in.stdout


def test_a_token_that_replaces_another_is_kept_with_the_time_of_its_end(tmp_path: Path) -> None:
    told: list[str] = []
    jobs_file = JobsFile(tmp_path / "state", told.append)
    entry = KnownJob(
        pipeline="csv_import",
        job_id="aa11",
        token="old",
        file="books.csv",
        created=SystemClock().now(),
        server="http://127.0.0.1:1",
    )
    jobs_file.put(entry)
    visit = JobSession(JobLocation(entry.server, None), jobs_file, as_json=False)
    visit._entry = entry
    visit._keep_token(JobHandle("aa11", "new", 12345))
    assert (jobs_file.find("aa11").ref, told) == (JobHandle("aa11", "new", 12345), [])
