"""The TypeScript client: what is generated, its own tests, and its size."""

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from clients.typescript import generate

from shelfwire import __version__
from tests.typescript.node import FOLDER, node, run

FOLLOW_BYTES = 6_650
CLIENT_BYTES = 9 * 1024
BEYOND_BYTES = 3_000
"""Of the React hook, and of the element, each beyond the client."""


def test_the_generated_sources_are_what_the_servers_schemas_say() -> None:
    command = [sys.executable, str(FOLDER / "generate.py"), "--check"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
    assert (checked.returncode, checked.stderr) == (0, "")


def test_stale_sources_are_named_and_written_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main(tmp_path, check=True) == 1
    assert "messages.gen.ts" in capsys.readouterr().err
    assert generate.main(tmp_path) == 0
    assert generate.main(tmp_path, check=True) == 0


def test_the_package_has_the_servers_version() -> None:
    package = json.loads((FOLDER / "package.json").read_bytes())
    assert package["version"] == __version__
    assert "dependencies" not in package


def test_the_lock_names_no_registry() -> None:
    assert "resolved" not in (FOLDER / "package-lock.json").read_text(encoding="utf-8")


def test_the_types_are_sound_and_can_be_declared_for_users(tmp_path: Path) -> None:
    node()
    for words in (["--noEmit"], ["--project", "tsconfig.declarations.json", "--outDir", str(tmp_path)]):
        checked = run([str(FOLDER / "node_modules" / ".bin" / "tsc"), *words])
        assert checked.returncode == 0, checked.stdout
    assert (tmp_path / "client.d.ts").exists()


def test_its_own_tests_pass() -> None:
    program = node()
    # The tests are built where Node finds their packages.
    folder = FOLDER / "node_modules" / ".tests"
    built = run([program, "build.mjs", "--tests", str(folder)])
    assert built.returncode == 0, built.stderr
    files = sorted(map(str, folder.glob("*.test.js")))
    command = [program, "--test", "--test-reporter=tap", *files]
    tried = run(command, FOLLOW_CASES=str(FOLDER / "../../tests/protocol/follow_cases.json"))
    assert tried.returncode == 0, tried.stdout[-10_000:]
    passed = re.search(r"^# pass (\d+)$", tried.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) > 70


@pytest.fixture(scope="module")
def sizes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """The size of each entry point with all that it imports, in bytes, gzipped."""
    program, folder = node(), tmp_path_factory.mktemp("built")
    built = run([program, "build.mjs", "--alone", str(folder)])
    assert built.returncode == 0, built.stderr
    found = {path.stem: len(gzip.compress(path.read_bytes(), 9)) for path in folder.glob("*.js")}
    print(f"bytes, gzipped: {found}")  # noqa: T201 - pytest shows it with -rA
    return found


def test_what_a_page_loads_stays_small(sizes: dict[str, int]) -> None:
    assert sizes["follow"] <= FOLLOW_BYTES
    assert sizes["client"] <= CLIENT_BYTES
    assert sizes["react"] <= sizes["client"] + BEYOND_BYTES
    assert sizes["element"] <= sizes["client"] + BEYOND_BYTES
