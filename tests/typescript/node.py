"""The TypeScript client's folder, and its Node: checked, built and run where they are there."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.processes import ROOT

FOLDER: Final = ROOT / "clients" / "typescript"
FOLLOWER: Final = Path(__file__).with_name("follower.mjs")
OLDEST_NODE: Final = 20
SOCKETS: Final = "--experimental-websocket"
NO_SOCKETS: Final = "--no-experimental-websocket"
"""Flags with which every Node has a `WebSocket` or none: Node 20 has none by itself, and later ones have one."""


def node(folder: Path = FOLDER) -> str:
    """Node's program; skips the test where it, or what make installs into a folder, is missing."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("Node is not installed: apt-get install nodejs npm")
    version = run([program, "--version"]).stdout.strip()
    if int(version.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        pytest.skip(f"this Node is {version}; the client's tests need {OLDEST_NODE} or newer")
    if not (folder / "node_modules" / ".installed").exists():
        pytest.skip(f"the packages of {folder.name} are not installed: make client pages, with npm")
    return program


def run(command: list[str], folder: Path = FOLDER, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in the client's folder, or in another."""
    env = {**os.environ, **environment}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)  # noqa: S603


class Follower:
    """A process of Node that follows a job and says what it is shown.

    Attributes:
        messages: what it was shown.
        waits: how often it waited before it connected again.
        transport: what the last of it came over, once it has ended.
        error: the code of the error with which its follow ended, if it did.
    """

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.messages: list[dict[str, Any]] = []
        self.waits = 0
        self.transport: str | None = None
        self.error: str | None = None

    async def until_shown(self, *, processed: int = 0) -> None:
        """Wait until it is shown a message, or one with so many processed items."""
        while not any(message["payload"].get("processedCount", 0) >= processed for message in self.messages):
            assert await self._read(), await self._said()

    async def until_over(self) -> None:
        """Wait for its end."""
        while await self._read():
            pass
        assert await self._process.wait() == 0, await self._said()

    async def _read(self) -> bool:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        match json.loads(line or "null"):
            case {"message": message}:
                self.messages.append(message)
            case {"wait": _}:
                self.waits += 1
            case {"transport": transport, "error": error}:
                self.transport, self.error = transport, error
        return bool(line)

    async def _said(self) -> str:
        assert self._process.stderr is not None
        return (await self._process.stderr.read()).decode()

    def check(self) -> None:
        """What it was shown never fell, and ended once."""
        counts = [m["payload"]["processedCount"] for m in self.messages if m["type"] == "job_progress"]
        assert counts == sorted(counts)
        types = [message["type"] for message in self.messages]
        assert (types.count("job_started"), types.count("job_complete"), types[-1]) == (1, 1, "job_complete")
        assert self.error is None


@asynccontextmanager
async def following(
    built: Path, url: str, job: Mapping[str, Any], *flags: str, **options: Any
) -> AsyncIterator[Follower]:
    """Follow a job in a process of Node.

    Args:
        built: the folder with the built client.
        url: the server's address.
        job: its `jobId` and `token`, or the text of a `file` to import.
        flags: Node's own.
        options: the client's.
    """
    words = json.dumps({"client": (built / "client.js").as_uri(), "job": dict(job), "options": {"url": url, **options}})
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        node(), "--no-warnings", *flags, str(FOLLOWER), words, stdout=pipe, stderr=pipe, limit=2**22
    )
    try:
        yield Follower(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
