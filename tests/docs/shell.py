"""A bash that stays, so that what one block sets the next one finds."""

import contextlib
import os
import select
import signal
import subprocess
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

BLOCK_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0


class ShellError(AssertionError):
    """A command failed, or took too long. The text has what was run and what it wrote."""


class Shell:
    """A bash in a folder. A command that fails ends it.

    Args:
        folder: where it runs.
        environ: all it sees of the environment.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-euo", "pipefail"],  # noqa: S607 - wherever bash is
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environ,
            start_new_session=True,
        )

    def run(self, command: str) -> str:
        """Run a command and return what it wrote.

        Raises:
            ShellError: see there.
        """
        assert self._process.stdin is not None
        mark = f"----{uuid.uuid4()}----"
        try:
            self._process.stdin.write(f"{{ {command}\n}} < /dev/null\necho {mark}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ShellError("an earlier block has failed") from None
        said = self._read(mark, command)
        return said.partition(mark)[0]

    def close(self) -> None:
        """End the shell and everything it has started."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                break
            deadline = time.monotonic() + STOP_SECONDS
            while time.monotonic() < deadline and _alive(self._process):
                select.select([], [], [], 0.05)
        self._process.wait()
        self._process.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _read(self, mark: str, command: str) -> str:
        assert self._process.stdout is not None
        said = b""
        deadline = time.monotonic() + BLOCK_SECONDS
        while mark.encode() not in said:
            ready, _, _ = select.select([self._process.stdout], [], [], 0.1)
            more = os.read(self._process.stdout.fileno(), 65536) if ready else b""
            said += more
            if not more and self._process.poll() is not None:
                raise ShellError(f"{command}\nended with {self._process.returncode}, saying:\n{said.decode()}")
            if not more and time.monotonic() > deadline:
                raise ShellError(f"{command}\ndid not end within {BLOCK_SECONDS:g} s, saying:\n{said.decode()}")
        return said.decode()


def _alive(process: "subprocess.Popen[bytes]") -> bool:
    process.poll()
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True
