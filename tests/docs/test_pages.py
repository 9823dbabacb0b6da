"""Every block of code in the documents is run, in the order of its page and in a folder of its own."""

import asyncio
import configparser
import os
import re
import shutil
import signal
import sys
import tomllib
from pathlib import Path
from typing import Final, NamedTuple

import pytest
import yaml
from markdown_it import MarkdownIt

from shelfwire.client import Client, JobRef
from shelfwire.settings import load
from tests.live import MakeServer, Server
from tests.servers import free_port

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
ELSEWHERE: Final = {"client.md"}
"""Run block by block in tests/client/test_documentation.py."""
SECONDS: Final = 120
LANGUAGES: Final = {"bash", "python", "toml", "ini", "nginx", "caddyfile", "yaml", "text"}
"""`text` is what a program printed, or a drawing."""


class Block(NamedTuple):
    """One block of code: what it is, the file it is meant for, its text."""

    language: str
    name: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    tokens = MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8"))
    fences = [token for token in tokens if token.type == "fence"]
    indented = [token.content for token in tokens if token.type == "code_block"]
    assert not indented, f"give these blocks of {page.name} a fence and a language: {indented}"
    return [_block_in(token.info, token.content) for token in fences]


def _block_in(info: str, text: str) -> Block:
    language, _, name = info.strip().partition(" ")
    return Block(language, name, text)


def block(page: str, name: str) -> str:
    return next(block.text for block in blocks_of(ROOT / page) if block.name == name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_says_what_it_is(page: Path) -> None:
    assert {block.language for block in blocks_of(page)} <= LANGUAGES


def script_of(blocks: list[Block], folder: Path) -> str:
    """Write the page's files, and return the rest of it as one script, which fails where a command of it fails."""
    lines = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT"]
    for number, block in enumerate(blocks):
        if block.language == "python":
            name = block.name or f"block{number}.py"
            (folder / name).write_text(block.text, encoding="utf-8")
            lines += [] if block.name else [f"python {name}"]
        elif block.language == "bash":
            lines.append(block.text)
    return "\n".join(lines)


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in ELSEWHERE], ids=lambda page: page.stem)
async def test_a_page_runs_from_its_first_block_to_its_last(
    page: Path, tmp_path: Path, make_server: MakeServer
) -> None:
    blocks = [block for block in blocks_of(page) if block.language in {"bash", "python"}]
    if not blocks:
        return
    folder = tmp_path / "reader"
    if any("--port 8787" in block.text for block in blocks):
        await run(prepared(blocks, folder, free_port()), folder)
    else:
        async with make_server() as server:
            await run(prepared(blocks, folder, port_of(server)), folder)


def port_of(server: Server) -> int:
    return int(server.url.rpartition(":")[2])


def prepared(blocks: list[Block], folder: Path, port: int) -> str:
    """Put a reader's folder together, and return what is to be typed there."""
    folder.mkdir()
    (folder / "library.csv").write_text("Title\nEmma\nDune\n", encoding="utf-8")
    return script_of([block._replace(text=block.text.replace("8787", str(port))) for block in blocks], folder)


async def run(script: str, folder: Path) -> None:
    environ = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
        "PYTHONWARNINGS": "error::ResourceWarning",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
    }
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        script,
        cwd=folder,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(SECONDS):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, said.decode()


def test_the_settings_shown_are_settings(tmp_path: Path) -> None:
    path = tmp_path / "shelfwire.toml"
    path.write_text(block("docs/howto/deploy.md", "shelfwire.toml"), encoding="utf-8")
    assert load({"config": path}, {}).create_limit == 30


def test_the_files_shown_for_other_programs_can_be_read() -> None:
    project = tomllib.loads(block("docs/howto/own-pipeline.md", "pyproject.toml"))
    assert project["project"]["entry-points"] == {"shelfwire.pipelines": {"word_count": "word_count:WordCount"}}
    unit = configparser.ConfigParser()
    unit.read_string(block("docs/howto/deploy.md", "shelfwire.service"))
    assert unit["Service"]["Restart"] == "always"
    scraping = yaml.safe_load(block("docs/howto/deploy.md", "prometheus.yml"))
    assert scraping["scrape_configs"][0]["job_name"] == "shelfwire"


async def follow_through(port: int, job: dict[str, str], transport: str) -> None:
    """Follow a job to its end through a proxy, by one transport and no other."""
    async with Client(f"http://127.0.0.1:{port}", transports=(transport,)) as client:
        ending = await client.follow(JobRef(job["jobId"], job["token"])).run()
    assert ending.type == "job_complete"


async def proxied(command: list[str], port: int, make_server: MakeServer, config: Path, text: str) -> None:
    async with make_server(gated=True) as server:
        await asyncio.to_thread(config.write_text, text.replace("8787", str(port_of(server))), encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(60):
                while not await answers(port):
                    assert process.returncode is None
                for transport in ("websocket", "sse", "polling"):
                    job = await server.submit()
                    following = asyncio.create_task(follow_through(port, job, transport))
                    server.gate.steps.put_nowait(1)
                    server.gate.steps.put_nowait(None)
                    await following
        finally:
            process.terminate()
            await process.communicate()


async def answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        await asyncio.sleep(0.05)
        return False
    writer.close()
    return True


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
async def test_a_job_is_followed_through_nginx_as_it_is_shown(tmp_path: Path, make_server: MakeServer) -> None:
    port, page = free_port(), "docs/howto/deploy.md"
    config = tmp_path / "nginx.conf"
    temporary = "\n".join(
        f"{kind}_temp_path {tmp_path}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = (
        f"pid {tmp_path}/pid; error_log {tmp_path}/errors.log; events {{}} http {{ access_log off; {temporary}\n"
        f"{block(page, 'map')}\nserver {{ listen 127.0.0.1:{port};\n{block(page, 'location')} }} }}"
    )
    command = ["nginx", "-p", str(tmp_path), "-c", str(config), "-g", "daemon off; master_process off;"]
    await proxied(command, port, make_server, config, text)


@pytest.mark.skipif(shutil.which("caddy") is None, reason="Caddy is not installed")
async def test_a_job_is_followed_through_caddy_as_it_is_shown(tmp_path: Path, make_server: MakeServer) -> None:
    port = free_port()
    config = tmp_path / "Caddyfile"
    shown = block("docs/howto/deploy.md", "Caddyfile")
    assert re.match(r"books\.example\.com \{", shown)
    site = shown.replace("books.example.com", f"http://127.0.0.1:{port}")
    command = ["caddy", "run", "--config", str(config), "--adapter", "caddyfile"]
    await proxied(command, port, make_server, config, f"{{\n    admin off\n}}\n{site}")


async def test_the_metrics_that_are_explained_are_told(make_server: MakeServer) -> None:
    page = (ROOT / "docs/howto/deploy.md").read_text(encoding="utf-8")
    explained = re.findall(r"`(shelfwire_\w+)(?:\{[^`]*\})?`", page)
    async with make_server() as server:
        told = (await server.http.get("/metrics")).text
    assert len(explained) > 8
    assert [name for name in explained if f"# HELP {name} " not in told] == []
