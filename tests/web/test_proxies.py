"""What a proxy says of a request, and who may say it."""

from pathlib import Path
from typing import Any

import pytest

from shelfwire.settings import SettingsError, load
from shelfwire.web.proxies import TrustedProxies
from tests.hosts import MOUNT, in_starlette
from tests.live import MakeServer, Server
from tests.test_embedding import mounted, shelfwire

PROXY = "127.0.0.1"


async def post(server: Server, **headers: str) -> Any:
    sent = {f"X-Forwarded-{name}": value for name, value in headers.items()}
    return await server.http.post("/api/import/csv-gemini", files={"file": ("a.csv", b"Title\nEmma\n")}, headers=sent)


async def test_nobody_is_believed_to_speak_for_others_unless_the_operator_says_so(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    async with make_server(gated=True, create_limit=2) as server:
        answers = [await post(server, For=f"203.0.113.{number}", Prefix="/jobs") for number in range(5)]
    assert [answer.status_code for answer in answers] == [202, 202, 429, 429, 429]
    assert answers[0].headers["location"].startswith("/api/jobs/")


async def test_a_trusted_proxys_callers_are_told_apart_by_the_last_address_that_is_no_proxys(
    make_server: MakeServer,
) -> None:
    async with make_server(gated=True, create_limit=1, trusted_proxies=(PROXY, "10.0.0.0/8")) as server:
        first = await post(server, For="203.0.113.7")
        forged = [await post(server, For=f"198.51.100.{n}, 203.0.113.7:{1000 + n}, 10.1.2.3") for n in range(3)]
        mapped = await post(server, For="::ffff:203.0.113.7")
        other = await post(server, For="203.0.113.8")
        neighbours = [await post(server, For=f"[2001:db8:1:2::{end}]:443") for end in (1, 2)]
    assert (first.status_code, other.status_code) == (202, 202)
    assert [answer.status_code for answer in [*forged, mapped]] == [429] * 4
    assert [neighbour.status_code for neighbour in neighbours] == [202, 429]


@pytest.mark.parametrize("forged", ["x" * 8000, "fe80::1%" + "x" * 8000, "unknown", "", ", ,", "203.0.113.7.1"])
async def test_what_is_no_address_makes_no_caller(make_server: MakeServer, forged: str) -> None:
    async with make_server(gated=True, create_limit=1, trusted_proxies=(PROXY,)) as server:
        answers = [await post(server, For=forged.replace("x" * 8000, f"{n}" * 8000)) for n in (1, 2)]
        identities = list(server.app._context.access._creations._alone._admitted)
    assert [answer.status_code for answer in answers] == [202, 429]
    assert [len(identity) <= 64 for identity in identities] == [True]


async def test_a_host_application_that_believes_anything_costs_bounded_memory(tmp_path: Path) -> None:
    jobs = shelfwire(tmp_path, create_limit=2)
    async with mounted(in_starlette(jobs), forwarded_allow_ips="*") as http:
        for number in range(3):
            headers = {"X-Forwarded-For": f"{number}" * 8000}
            files = {"file": ("a.txt", b"a")}
            answer = await http.post(f"{MOUNT}/api/pipelines/word_count/jobs", files=files, headers=headers)
            assert answer.status_code == 202
    assert {len(identity) for identity in jobs._context.access._creations._alone._admitted} == {64}


async def test_a_trusted_proxys_host_is_checked_and_is_the_servers_own_website(make_server: MakeServer) -> None:
    options = {"allowed_hosts": ("books.example.com",), "trusted_proxies": (PROXY,)}
    async with make_server(gated=True, **options) as server:
        sent = {"X-Forwarded-Host": "books.example.com", "X-Forwarded-Proto": "https"}
        files = {"file": ("a.csv", b"Title\nEmma\n")}
        url = "/api/import/csv-gemini"
        own = await server.http.post(url, files=files, headers={**sent, "Origin": "https://books.example.com"})
        foreign = await server.http.post(url, files=files, headers={**sent, "Origin": server.url})
        unknown = await server.http.get("/health/live", headers={"X-Forwarded-Host": "evil.example"})
        # A script of a rebound name can send any header but this one.
        rebound = await server.http.get("/health/live", headers={**sent, "Host": "evil.example"})
    assert [answer.status_code for answer in (own, foreign, unknown, rebound)] == [202, 403, 421, 421]


@pytest.mark.parametrize(
    ("kind", "sent", "scheme"),
    [
        ("http", "https", "https"),
        ("http", "ftp", "http"),
        ("websocket", "https", "wss"),
        ("http", "https, http", "http"),
    ],
)
def test_the_scheme_is_the_proxys(kind: str, sent: str, scheme: str) -> None:
    scope: dict[str, Any] = {
        "type": kind,
        "scheme": "ws" if kind == "websocket" else "http",
        "client": ("::ffff:127.0.0.1", 5000),
        "headers": [(b"x-forwarded-proto", sent.encode())],
    }
    TrustedProxies(["127.0.0.1/32"]).apply(scope)
    assert (scope["scheme"], scope["client"]) == (scheme, ("127.0.0.1", 5000))


def test_trusted_proxies_are_addresses_and_networks() -> None:
    assert load({"trusted_proxies": "127.0.0.1 10.0.0.0/8,::1"}, {}).trusted_proxies == (
        "127.0.0.1/32",
        "10.0.0.0/8",
        "::1/128",
    )
    for network in ("*", "proxy.example.com", "10.0.0.1/8", "127.0.0.1:80"):
        with pytest.raises(SettingsError, match=r"--trusted-proxies: .* is neither an address nor a network"):
            load({"trusted_proxies": network}, {})
