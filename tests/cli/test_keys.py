"""`shelfwire keys` makes, lists and revokes API keys with roles."""

import stat
from pathlib import Path

import pytest

from shelfwire.web.keys import digest_of, read_keys

from .conftest import Shelfwire


def test_a_key_is_printed_once_and_kept_by_its_digest(shelfwire: Shelfwire, tmp_path: Path) -> None:
    more = ["--pipelines", "pdf_report, video_cut", "--create-limit", "5", "--expires", "2099-12-31"]
    made = shelfwire("keys", "new", "celery", "--role", "work", *more, "--data", str(tmp_path / "data"))
    key = made.stdout.strip()
    assert (made.returncode, key.startswith("sw_work_"), len(key)) == (0, True, 51)
    path = tmp_path / "data" / "keys.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key not in path.read_text()
    assert read_keys(path)["celery"].digest == digest_of(key)
    listed = shelfwire("keys", "list", "--data", str(tmp_path / "data"))
    assert listed.stdout == "celery  work  for pdf_report, video_cut  5 jobs a minute  until 2099-12-31\n"


def test_keys_without_a_name_are_numbered_and_a_revoked_one_is_gone(shelfwire: Shelfwire, tmp_path: Path) -> None:
    data = ["--data", str(tmp_path)]
    for role in ("create", "admin:read", "create"):
        assert shelfwire("keys", "new", "--role", role, *data).returncode == 0
    assert sorted(read_keys(tmp_path / "keys.toml")) == ["admin_read-1", "create-1", "create-2"]
    assert shelfwire("keys", "revoke", "create-1", *data).returncode == 0
    assert sorted(read_keys(tmp_path / "keys.toml")) == ["admin_read-1", "create-2"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["new", "taken", "--role", "work"], "There is a key named taken"),
        (["new", "no name", "--role", "work"], "is no name of a key"),
        (["new", "--role", "work", "--pipelines", "Not One"], "pipelines"),
        (["new", "--role", "work", "--pipelines", ""], "pipelines"),
        (["new", "--role", "admin", "--pipelines", "pdf_report"], "jobs of all"),
        (["new", "--role", "admin:read", "--pipelines", "pdf_report"], "jobs of all"),
        (["new", "--role", "work", "--expires", "soon"], "is no day"),
        (["new", "--role", "king"], "role"),
        (["revoke", "nobody"], "There is no key named nobody"),
    ],
)
def test_what_cannot_be_is_refused_and_changes_nothing(
    shelfwire: Shelfwire, tmp_path: Path, words: list[str], says: str
) -> None:
    data = ["--data", str(tmp_path)]
    shelfwire("keys", "new", "taken", "--role", "work", *data)
    before = (tmp_path / "keys.toml").read_bytes()
    done = shelfwire("keys", *words, *data)
    assert done.returncode == 2
    assert says in done.stderr
    assert (tmp_path / "keys.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[celery", "is not TOML"),
        ('[celery]\nrole = "king"\ndigest = "sha256:00"', "[celery]"),
        ('[celery]\nrole = "work"\ndigest = "sha256:00"', "[celery]"),
        ('[celery]\nrole = "work"', "[celery]"),
        (f'[celery]\nrole = "admin"\ndigest = "sha256:{"0" * 64}"\npipelines = ["a"]', "jobs of all"),
        ("a = " + "[" * 5000, "is not TOML"),
    ],
)
def test_a_file_that_cannot_be_used_keeps_a_server_from_starting_and_is_not_overwritten(
    shelfwire: Shelfwire, tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(text)
    path.chmod(0o600)
    for command in (["serve", "--port", "0"], ["keys", "list"], ["keys", "new", "--role", "work"]):
        done = shelfwire(*command, "--data", str(tmp_path))
        assert done.returncode == 2
        assert says in done.stderr
    assert path.read_text() == text


def test_a_file_that_others_can_read_is_refused(shelfwire: Shelfwire, tmp_path: Path) -> None:
    shelfwire("keys", "new", "--role", "work", "--data", str(tmp_path))
    (tmp_path / "keys.toml").chmod(0o640)
    done = shelfwire("serve", "--port", "0", "--data", str(tmp_path))
    assert (done.returncode, "chmod 600" in done.stderr) == (2, True)


def test_jobs_of_this_machine_need_no_key(shelfwire: Shelfwire, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shelfwire("keys", "new", "--role", "work", "--data", str(data))
    (tmp_path / "books.csv").write_text("Title\nEmma\n")
    done = shelfwire("import", str(tmp_path / "books.csv"), "--data", str(data))
    assert done.returncode == 0, done.stderr
