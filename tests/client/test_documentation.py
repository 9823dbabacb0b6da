"""What docs/client.md shows is run, against a server where it needs one."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from tests.live import MakeServer

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES, ids=["asynchronous", "blocking", "in memory"])
async def test_every_example_works_as_it_is_shown(make_server: MakeServer, tmp_path: Path, example: str) -> None:
    (tmp_path / "library.csv").write_text("Title\nDune\nEmma\n")
    async with make_server() as server:
        program = example.replace("http://127.0.0.1:8787", server.url)
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "error",
            "-c",
            program,
            cwd=tmp_path,
            stderr=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"PYTHONPATH": str(ROOT / "src")},
        )
        out, err = await process.communicate()
    assert (process.returncode, err.decode()) == (0, "")
    assert out.count(b"job_complete") == ("library.csv" in example)
