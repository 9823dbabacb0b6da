"""What can be typed, and what comes back when it cannot work."""

import errno
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from shelfwire import __version__
from shelfwire.books.settings import BookSettings
from shelfwire.cli.embedded_server import start as start_server
from shelfwire.cli.errors import CommandError, Exit
from shelfwire.cli.extensions import export_of
from shelfwire.settings import Settings, fields
from tests.processes import ROOT

from .conftest import EXPORT, TIMEOUT, Here, Shelfwire, entries

Into = Callable[..., tuple[int, str]]


@pytest.fixture
def shelfwire_into(env: dict[str, str]) -> Into:
    """Runs a command with its output sent elsewhere by a shell; gives the exit code and the errors."""

    def run(words: str, elsewhere: str, **more: str) -> tuple[int, str]:
        line = f"set -o pipefail; '{sys.executable}' -m shelfwire {words} {elsewhere}"
        command = ["bash", "-c", line]
        done = subprocess.run(  # noqa: S603 - our own command
            command, env={**env, **more}, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
        return done.returncode, done.stderr

    return run


def test_help_lists_the_commands_and_the_exit_codes(here: Here) -> None:
    code, out, _ = here("--help")
    assert code == 0
    assert [
        word
        for word in (
            *("import", "watch", "jobs", "pause", "resume", "cancel", "retry", "results", "delete", "serve"),
            *("Exit codes", "143"),
        )
        if word not in out
    ] == []


def limited(soft: int, hard: int, *words: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a command that may open so many files only."""
    limits = f"resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))"
    begin = f"import os, resource, sys; {limits}; os.execv(sys.argv[1], sys.argv[1:])"
    command = [sys.executable, "-c", begin, sys.executable, "-m", "shelfwire", *words]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=False)  # noqa: S603 - our own command


@pytest.mark.parametrize(
    ("limit", "words"), [(6, ("jobs",)), (12, ("import", str(EXPORT))), (12, ("serve",)), (32, ("watch", "last"))]
)
def test_too_few_open_files_are_one_line_that_says_how_to_allow_more(
    env: dict[str, str], limit: int, words: tuple[str, ...]
) -> None:
    done = limited(limit, limit, *words, env=env)
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert done.stderr.startswith(f"shelfwire: This process may have only {limit} files open")
    assert done.stderr.endswith("ulimit -n 1024\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("soft", "hard"), [(12, 64), (64, 64)])
def test_as_many_open_files_as_it_asks_for_are_enough(env: dict[str, str], soft: int, hard: int) -> None:
    done = limited(soft, hard, "import", str(EXPORT), env=env)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.EMFILE, "Too many open files", "/books/lock"), "/books/lock: Too many open files. Allow more"),
        (PermissionError(errno.EACCES, "Permission denied", "/books"), "/books: Permission denied"),
        (OSError("something of a library's own"), "something of a library's own"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    here: Here, monkeypatch: pytest.MonkeyPatch, error: OSError, line: str
) -> None:
    def refused() -> None:
        raise error

    monkeypatch.setattr("shelfwire.cli.commands.known_jobs", refused)
    code, out, err = here("jobs")
    assert (code, out, err.count("\n")) == (Exit.USAGE, "", 1)
    assert err.startswith(f"shelfwire: {line}")


@pytest.mark.parametrize("columns", ["0", "000", "wide", "-1", "9" * 5000, "²"])
def test_a_width_that_no_terminal_has_is_passed_over(here: Here, monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    code, out, err = here("--help")
    assert (code, "watch" in out, err) == (0, True, "")


def test_a_data_folder_whose_name_is_too_long_is_one_line(shelfwire: Shelfwire) -> None:
    done = shelfwire("import", str(EXPORT), "--data", f"/tmp/{'x' * 5000}")  # noqa: S108 - it cannot be made
    assert (done.returncode, done.stderr.count("\n")) == (Exit.USAGE, 1)
    assert "cannot be used: File name too long. Name another one" in done.stderr


def test_help_does_not_load_a_server(shelfwire: Shelfwire) -> None:
    done = shelfwire("--help", PYTHONPROFILEIMPORTTIME="1", fresh=True)
    assert done.returncode == 0
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if "import time" in line}
    assert loaded & {"cyclopts", "starlette", "sqlalchemy", "uvicorn", "httpx2"} == {"cyclopts"}


def test_the_version_is_one_line(here: Here) -> None:
    assert here("--version") == (0, f"shelfwire {__version__}\n", "")


@pytest.mark.parametrize(
    ("shell", "begins"), [("bash", "# Bash completion"), ("zsh", "#compdef shelfwire"), ("fish", "# Fish completion")]
)
def test_a_shell_learns_to_complete_commands_flags_and_their_values(here: Here, shell: str, begins: str) -> None:
    code, out, _ = here("completion", shell)
    assert (code, out.startswith(begins)) == (0, True)
    assert [word for word in ("results", "catalogue", "goodreads") if word not in out] == []


def test_bash_can_use_what_it_is_given(here: Here, tmp_path: Path) -> None:
    script = tmp_path / "completion"
    script.write_text(here("completion", "bash")[1])
    asked = "COMP_WORDS=(shelfwire resul); COMP_CWORD=1; _shelfwire; echo ${COMPREPLY[@]}"
    bash = subprocess.run(["/bin/bash", "-c", f"source {script}; {asked}"], capture_output=True, text=True, check=True)  # noqa: S603
    assert bash.stdout.split() == ["results"]


@pytest.mark.parametrize(("words", "there"), [(("serve",), False), (("schema",), False), (("watch",), True)])
def test_exit_codes_of_jobs_are_explained_where_there_is_a_job(
    here: Here,
    words: tuple[str, ...],
    there: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    assert ("the job was canceled" in here(*words, "--help")[1]) is there


def test_every_setting_is_a_flag_with_its_meaning(here: Here) -> None:
    _, out, _ = here("serve", "--help")
    flags = ["--" + field.name.replace("_", "-") for field in fields([BookSettings])]
    assert [flag for flag in flags if f" {flag} " not in out] == []
    assert "Seconds between two commits of progress" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("bogus",), "Unknown command"),
        (("import",), "FILE"),
        (("import", "nope.csv"), "nope.csv cannot be read: No such file"),
        (("import", "tests"), "tests is a folder"),
        (("import", "/dev/null"), "no ordinary file"),
        (("import", str(EXPORT), "--server", "localhost:8787"), "http://127.0.0.1:8787"),
        (("import", str(EXPORT), "--server", "http://x:99999"), "not a server's address"),
        (("import", str(EXPORT), "--server", "http://x", "--data", "y"), "exclude each other"),
        (("import", str(EXPORT), "--server", "http://\u2603..x"), "not a server's address"),
        (("import", str(EXPORT), "--server", "http://x?job=1"), "not a server's address"),
        (("import", str(EXPORT), "--server", "http://me:hidden@x"), "takes no user and password"),
        (("import", str(EXPORT), "--data", "~nobody-here/x"), "no user whose folder ~nobody-here/x could be in"),
        (("import", str(EXPORT), "--data", "d\udce9"), "is no name in UTF-8"),
        (("enrich", str(EXPORT), "--output", "x" * 300), "cannot be written: File name too long"),
        (("import", "no\x1b[2Jpe.csv"), "no [2Jpe.csv cannot be read"),
        (("watch", "last"), "shelfwire import FILE"),
        (("cancel", "abc"), "No job is known"),
        (("pause", "last"), "shelfwire import FILE"),
        (("resume", "abc"), "No job is known"),
        (("retry", "abc"), "No job is known"),
        (("delete", "abc"), "No job is known"),
        (("results", "last"), "shelfwire import FILE"),
        (("results", "last", "--format", "xml"), "--format"),
        (("serve", "--data", ""), "--data: '' is no name of a file or folder"),
        (("serve", "--host", "0.0.0.0"), "Set api_keys"),  # noqa: S104 - it is refused
        (("serve", "--host", "0.0.0.0", "--allow-keyless=false"), "Set api_keys"),  # noqa: S104 - likewise
        (("serve", "--host", "0.0.0.0", "--allow-keyless", "--database", "x://"), "not the URL"),  # noqa: S104
        (("serve", "--api-keys", "hidden"), "API key 1 has 6 characters"),
        (("serve", "--database", "postgresql://user:hidden@127.0.0.1:1/books"), "The database cannot be used"),
        (("serve", "--port", "many"), "--port"),
        (("serve", "--config", "none.toml"), "none.toml cannot be read"),
    ],
)
def test_a_wrong_command_line_ends_with_two_and_one_line(here: Here, words: tuple[str, ...], says: str) -> None:
    code, out, err = here(*words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert says in err
    assert "hidden" not in err


def test_an_empty_file_is_refused_at_once(here: Here, tmp_path: Path) -> None:
    (tmp_path / "empty.csv").touch()
    code, _, err = here("import", str(tmp_path / "empty.csv"))
    assert (code, "is empty" in err) == (2, True)


@pytest.mark.parametrize(
    ("name", "value"),
    [("SHELFWIRE_LEASE", "long"), ("SHELFWIRE_STATE", "~nobody-here"), ("SHELFWIRE_DATA", "~nobody-here")],
)
def test_a_bad_setting_in_the_environment_is_named(
    here: Here, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    code, _, err = here("import", str(EXPORT))
    assert (code, name in err) == (2, True)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_takes_no_more_ends_with_one_line(shelfwire_into: Into, *, unbuffered: str) -> None:
    code, err = shelfwire_into("jobs", ">/dev/full", PYTHONUNBUFFERED=unbuffered)
    assert (code, err.count("\n")) == (2, 1)
    assert "The output cannot be written: No space left on device" in err


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_output_that_nobody_reads_ends_without_a_word(shelfwire_into: Into, *, unbuffered: str) -> None:
    assert shelfwire_into("jobs", "| true; exit ${PIPESTATUS[0]}", PYTHONUNBUFFERED=unbuffered) == (141, "")


@pytest.mark.parametrize("closed", [">&-", "<&-", ">&- 2>&- <&-"])
def test_a_closed_stream_keeps_nobody_from_importing(shelfwire_into: Into, env: dict[str, str], closed: str) -> None:
    assert shelfwire_into(f"import '{EXPORT}' --json", f"{closed} | cat") == (0, "")
    assert entries(env)[0]["ended"] == {"status": "complete", "succeeded": 166, "failed": 2}


def test_a_file_whose_name_is_not_in_utf_8_is_imported(shelfwire: Shelfwire, tmp_path: Path) -> None:
    try:
        (tmp_path / "caf\udce9.csv").write_bytes(EXPORT.read_bytes())
    except OSError:
        pytest.skip("this file system takes no such names")
    done = shelfwire("import", str(tmp_path / "caf\udce9.csv"), "--json")
    assert (done.returncode, json.loads(done.stdout.splitlines()[-1])["file"]) == (0, "caf .csv")


def test_a_server_that_does_not_answer_is_named(here: Here) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        code, _, err = here("import", str(EXPORT), "--server", url)
    assert (code, f"No server answers at {url}" in err) == (4, True)


class _Stranger(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>hello</html>")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def stranger() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Stranger) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_that_is_another_kind_of_server_is_told_apart(
    here: Here, stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHELFWIRE_SERVER", stranger)
    code, _, err = here("import", str(EXPORT))
    assert (code, "not a shelfwire server" in err) == (4, True)


async def test_a_server_that_cannot_start_says_what_is_in_its_way(server: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    taken = Settings(data=tmp_path / "data", port=int(server["url"].rsplit(":", 1)[1]))
    held = Settings(data=Path(server["data"]), port=0)
    for settings, says in {
        taken: "Address already in use",
        held: f"holds the data folder {server['data']}",
        Settings(data=tmp_path / "file", port=0): "it is a file",
        Settings(data=Path("/proc/none"), port=0): "/proc/none cannot be used: No such file",
    }.items():
        with pytest.raises(CommandError, match=re.escape(says)) as error:
            await start_server(settings).__aenter__()
        assert error.value.exit_code == Exit.USAGE


def test_jobs_tells_where_each_stands_and_marks_what_its_server_forgot(
    shelfwire: Shelfwire, server: dict[str, Any], env: dict[str, str]
) -> None:
    assert shelfwire("import", str(EXPORT), "--server", server["url"]).returncode == 0
    listed = shelfwire("jobs", "--json")
    (job,) = json.loads(listed.stdout)
    assert (job["file"], job["status"], job["server"]) == (EXPORT.name, "complete", server["url"])
    assert job["successCount"] + job["failureCount"] == job["totalCount"]

    path = Path(env["SHELFWIRE_STATE"]) / "jobs.json"
    token = entries(env)[0]["token"]
    path.write_text(path.read_text().replace(token, token[::-1]))
    marked, watched = shelfwire("jobs"), shelfwire("watch", "last")
    assert (job["jobId"] in marked.stdout, "expired" in marked.stdout) == (True, True)
    assert (watched.returncode, "does not know job" in watched.stderr) == (4, True)
    for said in (listed, marked, watched):
        assert token not in said.stdout + said.stderr
        assert token[::-1] not in said.stdout + said.stderr


def test_no_jobs_yet_says_how_to_start_one(here: Here) -> None:
    assert here("jobs") == (0, "No jobs yet. Start one: shelfwire import FILE\n", "")


def test_a_server_whose_catalogue_is_not_there_says_so_in_one_line(shelfwire: Shelfwire, tmp_path: Path) -> None:
    done = shelfwire("serve", "--port", "0", "--catalogue", str(tmp_path / "books.sqlite3"))
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("shelfwire: The server cannot start. There is no catalogue ")
    assert "Traceback" not in done.stderr


def test_a_command_whose_library_is_missing_says_what_installs_it(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("shelfwire.books.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "anyascii", None)
    monkeypatch.setitem(sys.modules, "apsw", None)
    for words in (("enrich", str(EXPORT)), ("catalogue", "search", "Dune")):
        code, out, err = here(*words)
        assert (code, out) == (2, "")
        assert re.fullmatch(
            r"shelfwire: This command needs the library \w+\. Install it: pip install 'shelfwire\[books\]'\n", err
        )


def test_a_format_that_no_plug_in_has_for_a_pipeline_is_refused_by_name() -> None:
    with pytest.raises(CommandError, match="a job of words cannot be had as goodreads"):
        export_of("words", "goodreads")
