"""Imports, from the command to the last row: on a server, by itself, and through everything that goes wrong."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shelfwire.books.client import BooksClient
from shelfwire.protocol.messages import Message, decode
from shelfwire.stores.sqlite.data_folder import DATABASE_NAME
from tests.processes import UNMEASURED

from .conftest import EXPORT, MANY, TIMEOUT, Here, Shelfwire, Start, ended, entries, read_line, read_until

BROKEN = 3


def outcome(text: str) -> dict[str, Any]:
    last: dict[str, Any] = json.loads(text.splitlines()[-1])
    assert last["type"] == "outcome"
    return last


def assert_whole(last: dict[str, Any]) -> None:
    assert (last["status"], last["successCount"], last["failureCount"]) == ("complete", MANY - BROKEN, BROKEN)
    assert len({failure["row"] for failure in last["failures"]}) == BROKEN


def test_an_import_into_a_pipe_is_plain_lines_and_lists_every_failure(
    shelfwire: Shelfwire, server: dict[str, Any], env: dict[str, str]
) -> None:
    done = shelfwire("import", str(EXPORT), SHELFWIRE_SERVER=server["url"], FORCE_COLOR="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert done.stdout.startswith(f"Importing {EXPORT.name}: ")
    failed = [line for line in done.stdout.splitlines() if line.startswith("row ")]
    assert failed
    assert f", {len(failed)} failed:" in done.stdout
    assert entries(env)[0]["token"] not in done.stdout


def test_an_import_as_json_is_the_wire_messages_and_the_outcome(
    shelfwire: Shelfwire, server: dict[str, Any], env: dict[str, str]
) -> None:
    done = shelfwire("import", str(EXPORT), "--server", server["url"], "--json")
    assert (done.returncode, done.stderr) == (0, "")
    *messages, _ = done.stdout.splitlines()
    decoded = [decode(line) for line in messages]
    assert all(isinstance(message, Message) for message in decoded)
    assert "job_complete" in messages[-1]
    assert len(outcome(done.stdout)["failures"]) == outcome(done.stdout)["failureCount"]
    assert entries(env)[0]["token"] not in done.stdout


def test_a_file_that_is_no_book_list_fails_with_one(
    shelfwire: Shelfwire, server: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "cover.csv").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 9)
    done = shelfwire("import", str(tmp_path / "cover.csv"), "--server", server["url"])
    assert (done.returncode, "Import failed: This is a PNG" in done.stdout) == (1, True)


def test_an_import_by_itself_uses_the_server_that_holds_the_folder(
    shelfwire: Shelfwire, server: dict[str, Any], env: dict[str, str]
) -> None:
    done = shelfwire("import", str(EXPORT), "--data", server["data"])
    assert (done.returncode, done.stderr) == (0, "")
    assert entries(env)[0]["data"] == server["data"]


def test_a_canceled_import_ends_with_three(start: Start, shelfwire: Shelfwire, library: Path) -> None:
    importing = start("import", str(library), SHELFWIRE_FLUSH_INTERVAL="5", **UNMEASURED)
    read_line(importing)
    canceled = shelfwire("cancel", "last")
    assert (canceled.returncode, canceled.stderr) == (0, "")
    assert canceled.stdout.startswith("Canceled the import of library.csv after ")
    assert ended(importing).returncode == 3


def test_a_termination_hands_the_job_back_too_and_it_can_be_canceled_without_running_on(
    start: Start, shelfwire: Shelfwire, library: Path
) -> None:
    importing = start("import", str(library), SHELFWIRE_FLUSH_INTERVAL="5", **UNMEASURED)
    read_line(importing)
    importing.terminate()
    terminated = ended(importing)
    assert (terminated.returncode, "shelfwire watch" in terminated.stderr) == (143, True)
    assert shelfwire("cancel", "last").stdout.startswith("Canceled the import of library.csv after ")
    assert "canceled, " in shelfwire("jobs").stdout


def test_ctrl_c_hands_the_job_back_and_watch_finishes_it(start: Start, shelfwire: Shelfwire, library: Path) -> None:
    importing = start("import", str(library), **UNMEASURED)
    read_until(importing, "%")
    importing.send_signal(signal.SIGINT)
    interrupted = ended(importing)
    assert interrupted.returncode == 130
    assert interrupted.stderr.startswith("shelfwire: Interrupted at ")
    job = interrupted.stderr.split()[-1]
    assert f"waiting: shelfwire watch {job} continues it" in shelfwire("jobs").stdout

    watched = shelfwire("watch", job, "--json")
    assert watched.returncode == 0, watched.stderr
    first = json.loads(next(line for line in watched.stdout.splitlines() if "processedCount" in line))
    assert first["payload"]["processedCount"] > 0
    assert_whole(outcome(watched.stdout))


def test_a_job_whose_ending_nobody_saw_is_listed_as_its_data_folder_has_it(
    shelfwire: Shelfwire, env: dict[str, str]
) -> None:
    assert shelfwire("import", str(EXPORT)).returncode == 0
    jobs_file, data = Path(env["SHELFWIRE_STATE"]) / "jobs.json", Path(env["SHELFWIRE_DATA"])
    [known] = entries(env)
    del known["ended"]  # as after Ctrl-C while the last rows were on their way
    jobs_file.write_text(json.dumps({"jobs": [known]}))
    before = {path.name for path in data.iterdir()}
    assert "complete, 2 of 168 failed" in shelfwire("jobs").stdout
    assert {path.name for path in data.iterdir()} == before
    (data / DATABASE_NAME).write_bytes(b"not a database" * 100)
    assert "waiting: shelfwire watch" in shelfwire("jobs").stdout
    shutil.rmtree(data)
    assert "its data folder is gone; " in shelfwire("jobs").stdout
    assert not data.exists()


def test_the_last_job_is_that_of_the_data_folder_that_is_named(shelfwire: Shelfwire, env: dict[str, str]) -> None:
    here, there = env["SHELFWIRE_DATA"], env["SHELFWIRE_DATA"] + "-there"
    assert shelfwire("import", str(EXPORT)).returncode == 0
    assert shelfwire("import", str(EXPORT), "--data", there).returncode == 0
    newest, oldest = (known["job_id"] for known in entries(env))
    for data, job_id in (([], oldest), (["--data", there], newest)):
        assert outcome(shelfwire("watch", "last", "--json", *data).stdout)["jobId"] == job_id
    assert [job["jobId"] for job in json.loads(shelfwire("jobs", "--json", "--data", f"{here}/../data").stdout)] == [
        oldest
    ]
    nowhere = shelfwire("watch", "last", "--data", f"{here}/nowhere")
    assert (nowhere.returncode, "No job is known in the data folder" in nowhere.stderr) == (2, True)


def test_two_imports_at_once_share_one_data_folder(start: Start) -> None:
    both = [start("import", str(EXPORT), "--json") for _ in range(2)]
    # Both are read at once: one that cannot write its output holds the folder, and the other waits for it.
    with ThreadPoolExecutor() as readers:
        finished = list(readers.map(ended, both))
    for done in finished:
        assert (done.returncode, done.stderr) == (0, "")
        assert outcome(done.stdout)["status"] == "complete"


def test_a_command_whose_output_nobody_reads_serves_the_others_in_its_folder_and_can_be_interrupted(
    start: Start, shelfwire: Shelfwire, library: Path
) -> None:
    unread = start("import", str(library), "--json")
    read_until(unread, "job_started")
    assert_whole(outcome(shelfwire("watch", "last", "--json").stdout))
    beside = shelfwire("import", str(EXPORT), "--json")
    assert (beside.returncode, outcome(beside.stdout)["status"]) == (0, "complete")
    assert unread.returncode is None, "what it has to write fills the pipe"
    unread.send_signal(signal.SIGINT)
    assert unread.wait(TIMEOUT) == 130


def test_who_follows_a_job_takes_it_over_when_its_process_leaves(start: Start, library: Path) -> None:
    importing = start("import", str(library), SHELFWIRE_FLUSH_INTERVAL="5", **UNMEASURED)
    read_line(importing)
    watching = start("watch", "last", "--json")
    read_line(watching)
    importing.send_signal(signal.SIGINT)
    assert ended(importing).returncode == 130
    done = ended(watching)
    assert (done.returncode, done.stderr) == (0, "")
    assert_whole(outcome(done.stdout))


def test_on_a_terminal_an_import_ends_with_a_table_and_a_visible_cursor(
    server: dict[str, Any], env: dict[str, str]
) -> None:
    ours, theirs = os.openpty()
    words = [sys.executable, "-m", "shelfwire", "import", str(EXPORT), "--server", server["url"]]
    with subprocess.Popen(words, env={**env, "TERM": "xterm"}, stdout=theirs, stderr=theirs) as process:  # noqa: S603
        os.close(theirs)
        screen = b""
        with contextlib.suppress(OSError), os.fdopen(ours, "rb", buffering=0) as terminal:
            while chunk := terminal.read(4096):
                screen += chunk
    text = screen.decode()
    assert process.returncode == 0
    assert "100%" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert "Row" in text[text.rindex("\x1b[?25h") :]


def test_a_server_killed_in_the_middle_costs_no_row(start: Start, library: Path, env: dict[str, str]) -> None:
    serving = start("serve", "--port", "0", "--json", **UNMEASURED)
    url = json.loads(read_line(serving))["url"]
    importing = start("import", str(library), "--server", url, "--json", **UNMEASURED)
    read_until(importing, "job_progress")
    serving.kill()
    serving.wait()
    restarted = start("serve", "--port", url.rsplit(":", 1)[1], **UNMEASURED)
    assert read_line(restarted) == f"Listening on {url}, data in {env['SHELFWIRE_DATA']}\n"
    done = ended(importing)
    assert (done.returncode, done.stderr) == (0, "")
    assert_whole(outcome(done.stdout))
    restarted.terminate()
    assert ended(restarted).returncode == 0


def test_a_file_so_large_that_the_server_hangs_up_is_to_be_split(
    here: Here, server: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shelfwire.books.cli.commands.BooksClient", partial(BooksClient, delays=(0.0,) * 5))
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    code, _, err = here("import", str(path), "--server", server["url"])
    assert (code, "Split it" in err) == (4, True), err


def test_leaving_a_server_leaves_the_job_running(
    start: Start, shelfwire: Shelfwire, server: dict[str, Any], library: Path
) -> None:
    importing = start("import", str(library), "--server", server["url"], **UNMEASURED)
    read_until(importing, "%")
    importing.send_signal(signal.SIGINT)
    done = ended(importing)
    assert done.returncode == 130
    assert "The import goes on" in done.stderr
    watched = shelfwire("watch", "last", "--json")
    assert watched.returncode == 0
    assert_whole(outcome(watched.stdout))
