"""Tries the configuration of a proxy with the real one, before a server that is running."""

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from websockets.sync.client import connect

from tests.docs.shell import Shell
from tests.ports import free_port

NAME: Final = "books.example.com"
ROWS: Final = 40_000
START_SECONDS: Final = 60.0
SERVE: Final = "shelfwire serve --config shelfwire.toml --data shelf"
"""As the page starts the server."""


def try_nginx(shell: Shell, folder: Path, server: str, source: str) -> None:
    """Run nginx with a file of its `conf.d`."""
    nginx = _program("nginx")
    port, home = free_port(), folder / "nginx"
    home.mkdir()
    certificate, key = _certificate(home)
    site = _replaced(
        source,
        {
            "127.0.0.1:8787": server.removeprefix("http://"),
            "443": f"127.0.0.1:{port}",
            f"/etc/ssl/{NAME}.pem": str(certificate),
            f"/etc/ssl/{NAME}.key": str(key),
            "/var/log/nginx/": f"{home}/",
        },
    )
    temporary = "".join(
        f"{kind}_temp_path {home}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = home / "nginx.conf"
    config.write_text(
        f"{'user root;' if os.geteuid() == 0 else ''}\ndaemon off;\npid {home}/pid;\nerror_log {home}/errors.log;\n"
        f"events {{}}\nhttp {{\n{temporary}{site}\n}}\n"
    )
    with _running([nginx, "-p", str(home), "-c", str(config)], home, port):
        _try(shell, f"https://127.0.0.1:{port}", certificate)
    log = (home / "shelfwire.log").read_text()
    assert "/ws/progress" in log
    assert "token" not in log


def try_caddy(shell: Shell, folder: Path, server: str, source: str) -> None:
    """Run Caddy with a Caddyfile."""
    caddy = _program("caddy")
    port, home = free_port(), folder / "caddy"
    home.mkdir()
    certificate, key = _certificate(home)
    site = _replaced(
        source,
        {
            "127.0.0.1:8787": server.removeprefix("http://"),
            f"{NAME} {{": f"https://127.0.0.1:{port} {{\n\ttls {certificate} {key}",
        },
    )
    config = home / "Caddyfile"
    config.write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{site}")
    with _running([caddy, "run", "--config", str(config), "--adapter", "caddyfile"], home, port):
        _try(shell, f"https://127.0.0.1:{port}", certificate)


def _replaced(text: str, places: dict[str, str]) -> str:
    for shown, real in places.items():
        if shown != "127.0.0.1:8787":  # replaced in every block already
            assert shown in text, f"the page has no {shown}"
        text = text.replace(shown, real)
    return text


def _try(shell: Shell, url: str, certificate: Path) -> None:
    """Follow a paused job by both ways through a proxy, let it go on, and hear its ending by both."""
    key = shell.run("echo $SHELFWIRE_API_KEYS").strip()
    trust = ssl.create_default_context(cafile=certificate)
    with httpx2.Client(base_url=url, verify=trust, timeout=60, trust_env=False) as http:
        assert http.get("/health/ready").status_code == 200
        assert http.get("/metrics").status_code in {403, 404}
        job = _paused_job(http, key)
        below, bearer = f"/api/jobs/{job['jobId']}", {"Authorization": f"Bearer {job['token']}"}
        address = f"wss{url.removeprefix('https')}/ws/progress?jobId={job['jobId']}&token={job['token']}"
        with (
            connect(address, ssl=trust, proxy=None) as socket_,
            http.stream("GET", f"{below}/events", headers=bearer) as stream,
        ):
            lines = stream.iter_lines()
            # Of a job that stands still nothing more comes: whoever holds events back shows none of this.
            assert next(line for line in lines if line.startswith("event: ")) == "event: job_started"
            assert '"paused"' in next(line for line in lines if line.startswith("data: ") and "job_progress" in line)
            assert '"job_started"' in str(socket_.recv(timeout=60))
            assert http.post(f"{below}/resume", headers=bearer).status_code == 200
            assert '"job_complete"' in [str(message) for message in socket_][-1]
            assert [line for line in lines if line.startswith("event: ")][-1] == "event: job_complete"
        _try_restart(shell, http, f"{below}/events", bearer)


def _try_restart(shell: Shell, http: httpx2.Client, events: str, bearer: dict[str, str]) -> None:
    """Ask for a stream of events while the server is away, as a browser does, and once it is back."""
    shell.run("kill $SERVER; wait $SERVER")
    away = http.get(events, headers=bearer)
    assert (away.status_code, away.text) == (200, "retry: 3000\n\n"), "a browser comes back"
    assert away.headers["content-type"] == "text/event-stream"
    assert away.headers["access-control-allow-origin"] == "*", "a page from elsewhere may read it, too"
    assert http.get(events.removesuffix("/events"), headers=bearer).status_code == httpx2.codes.BAD_GATEWAY
    shell.run(f"{SERVE} >> server.log 2>&1 &\nSERVER=$!")
    while http.get("/health/ready").status_code != httpx2.codes.OK:
        pass
    assert "event: job_complete" in http.get(events, headers=bearer).text


def _paused_job(http: httpx2.Client, key: str) -> dict[str, Any]:
    data = "Title\n" + "".join(f"Book {number}\n" for number in range(ROWS))
    answer = http.post(
        "/api/import/csv-gemini", files={"file": ("books.csv", data.encode())}, headers={"X-API-Key": key}
    )
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()["data"]
    below, bearer = f"/api/jobs/{job['jobId']}", {"Authorization": f"Bearer {job['token']}"}
    state = http.get(below, headers=bearer).json()["data"]
    while "startTime" not in state:
        state = http.get(below, params={"after": state["seq"], "wait": 10}, headers=bearer).json()["data"]
    state = http.post(f"{below}/pause", headers=bearer).json()["data"]
    while state["status"] != "paused":
        state = http.get(below, params={"after": state["seq"], "wait": 10}, headers=bearer).json()["data"]
    return job


def _program(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def _certificate(folder: Path) -> tuple[Path, Path]:
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(  # noqa: S603 - our own words
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME},IP:127.0.0.1"),
            *("-out", str(certificate), "-keyout", str(key)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


@contextlib.contextmanager
def _running(command: Sequence[str], home: Path, port: int) -> Iterator[None]:
    log = home / "output.log"
    environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environ)  # noqa: S603 - our own words
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _listens(port):
            late = process.poll() is not None or time.monotonic() > deadline
            assert not late, f"{command[0]} does not run:\n{log.read_text()}"
        yield
    finally:
        process.terminate()
        process.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
