"""Signals that come before there is anything to shut down: while modules are imported, and while a server starts."""

import signal
import subprocess
import sys

import pytest

from tests.processes import ROOT

from .conftest import EXPORT, TIMEOUT

SCRIPT = """\
import os, runpy, signal, sys

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has commands in the background ignore it
moment, number, *words = sys.argv[1:]

class Signals:
    def find_spec(self, name, path, target=None):
        if name == moment:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(number))

sys.meta_path.insert(0, Signals())
sys.argv[1:] = words
runpy.run_module("shelfwire", run_name="__main__", alter_sys=True)
"""
"""Runs the command, and sends itself a signal once a certain module is about to be imported."""
IMPORTS, START = "shelfwire.cli.main", "shelfwire.server.serving"


@pytest.mark.parametrize("moment", [IMPORTS, START])
@pytest.mark.parametrize(
    ("words", "number", "code"),
    [
        (("serve", "--port", "0"), signal.SIGTERM, 0),
        (("serve", "--port", "0"), signal.SIGINT, 0),
        (("import", str(EXPORT)), signal.SIGTERM, 143),
        (("import", str(EXPORT)), signal.SIGINT, 130),
    ],
)
def test_a_signal_before_anything_has_begun_ends_the_command_without_a_traceback(
    env: dict[str, str], moment: str, words: tuple[str, ...], number: signal.Signals, code: int
) -> None:
    done = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", SCRIPT, moment, str(int(number)), *words],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert (done.returncode, done.stdout) == (code, "")
    said = "had started. Start it again\n" if moment == START and words[0] == "import" else ""
    assert done.stderr.endswith(said)
    assert len(done.stderr.splitlines()) == bool(said)
