"""Webhooks over a real network: what is sent, to whom, and that it is sent."""

import shutil
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from shelfwire.clock import SystemClock
from shelfwire.jobs.callbacks import CallbackRules
from shelfwire.jobs.outbox import Delivery
from shelfwire.webhooks import WebhookSender, resolve
from tests.receiver import SECRET, certificate, receiver

NOW = 1_700_000_000_000
OTHER = "whsec_" + "YW5vdGhlciBzZWNyZXQ=" * 2
openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")


def delivery(url: str, body: str = '{"type":"job_complete","text":"é"}') -> Delivery:
    return Delivery(
        id="job-1.7", job_id="job-1", url=url, host="", body=body, made_at=NOW, due_at=NOW, give_up_at=NOW + 1
    )


class Names:
    """Answers look-ups in turn; the last answer stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def resolve(self, _host: str, _port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def sender(
    port: int,
    names: Names | None = None,
    *,
    hosts: Sequence[str] = (),
    secrets: Sequence[str] = (SECRET,),
    tls: ssl.SSLContext | None = None,
) -> WebhookSender:
    look_up = (names or Names(["127.0.0.1"])).resolve
    rules = CallbackRules(hosts or [f"hooks.example.com:{port}"], look_up)
    return WebhookSender(rules, secrets, SystemClock().now, tls)


async def test_a_webhook_is_signed_and_says_what_it_is() -> None:
    async with receiver() as them, sender(them.port) as own:
        outcome = await own.send(delivery(f"http://hooks.example.com:{them.port}/a?b=c"))
        received = await them.next()
    assert outcome.error is None
    assert received.line == "POST /a?b=c HTTP/1.1"
    assert received.headers["host"] == f"hooks.example.com:{them.port}"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-id"] == "job-1.7"
    assert received.verified == {"type": "job_complete", "text": "é"}


async def test_while_secrets_are_exchanged_there_is_a_signature_of_each() -> None:
    async with receiver() as them, sender(them.port, secrets=(OTHER, SECRET)) as own:
        await own.send(delivery(f"http://hooks.example.com:{them.port}/"))
        received = await them.next()
    assert len(received.headers["webhook-signature"].split(" ")) == 2
    assert received.verified


@pytest.mark.parametrize(
    ("answer", "error", "final", "retry_after"),
    [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", None, 0, 0),
        ("HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n", "HTTP 410", 1, 0),
        ("HTTP/1.1 503 Busy\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n", "HTTP 503", 0, 120_000),
        ("HTTP/1.1 429 No\r\nRetry-After: Fri, 01 Jan 2027 00:00:00 GMT\r\n\r\n", "HTTP 429", 0, 0),
        ("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "HTTP 404", 0, 0),
        ("nonsense\r\n\r\n", "RemoteProtocolError", 0, 0),
        ("", "RemoteProtocolError", 0, 0),
    ],
)
async def test_an_answer_decides_what_comes_next(answer: str, error: str | None, final: int, retry_after: int) -> None:
    async with receiver(answer) as them, sender(them.port) as own:
        outcome = await own.send(delivery(f"http://hooks.example.com:{them.port}/"))
    assert (outcome.error or "").startswith(error or "")
    assert (outcome.error is None, outcome.final, outcome.retry_after) == (error is None, bool(final), retry_after)


async def test_a_redirect_is_not_followed() -> None:
    async with receiver() as thief:
        moved = f"HTTP/1.1 307 Moved\r\nLocation: http://127.0.0.1:{thief.port}/\r\nContent-Length: 0\r\n\r\n"
        async with receiver(moved) as them, sender(them.port) as own:
            outcome = await own.send(delivery(f"http://hooks.example.com:{them.port}/"))
    assert (outcome.error, thief.received) == ("HTTP 307", [])


async def test_the_body_of_an_answer_is_not_read() -> None:
    endless = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"
    async with receiver(endless + "x" * 100_000) as them, sender(them.port) as own:
        assert (await own.send(delivery(f"http://hooks.example.com:{them.port}/"))).error is None


async def test_a_receiver_that_does_not_answer_has_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shelfwire.webhooks.TRY_SECONDS", 0.1)
    async with receiver(None) as them, sender(them.port) as own:
        outcome = await own.send(delivery(f"http://hooks.example.com:{them.port}/"))
    assert outcome.error == "No answer within 0.1 s"


async def test_a_proxy_that_the_environment_names_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiver() as proxy, receiver() as them:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with sender(them.port) as own:
            await own.send(delivery(f"http://hooks.example.com:{them.port}/"))
    assert (len(them.received), len(proxy.received)) == (1, 0)


async def test_a_name_that_changes_between_check_and_connection_changes_nothing() -> None:
    """Each try looks the name up once, and connects to what was checked."""
    names = Names(["127.0.0.1"], ["192.0.2.1"])
    async with receiver() as them, sender(them.port, names) as own:
        outcome = await own.send(delivery(f"http://hooks.example.com:{them.port}/"))
    assert (outcome.error, names.asked, len(them.received)) == (None, 1, 1)


async def test_a_name_that_has_become_private_since_the_job_was_made_is_refused() -> None:
    names = Names(["93.184.215.14"], ["127.0.0.1"])
    rules = CallbackRules(["hooks.example.com"], names.resolve)
    url = "https://hooks.example.com/"
    assert await rules.admit(url) == url
    async with WebhookSender(rules, [SECRET], SystemClock().now) as own:
        outcome = await own.send(delivery(url))
    assert "private address" in (outcome.error or "")
    assert not outcome.final


async def test_a_host_that_is_not_named_any_more_is_not_called() -> None:
    async with receiver() as them, sender(them.port, hosts=["another.example"]) as own:
        outcome = await own.send(delivery(f"http://hooks.example.com:{them.port}/"))
    assert "callback_hosts" in (outcome.error or "")
    assert them.received == []


async def test_nothing_is_sent_unsigned() -> None:
    async with receiver() as them, sender(them.port, secrets=()) as own:
        outcome = await own.send(delivery(f"http://hooks.example.com:{them.port}/"))
    assert "callback_secrets" in (outcome.error or "")
    assert them.received == []


async def test_another_address_of_a_host_is_tried_where_nobody_is_at_the_first() -> None:
    async with receiver() as them, sender(them.port, Names(["127.0.0.2", "127.0.0.1"])) as own:
        outcome = await own.send(delivery(f"http://hooks.example.com:{them.port}/"))
    assert (outcome.error, len(them.received)) == (None, 1)


@openssl
async def test_a_certificate_is_checked_for_the_name_and_not_for_the_address(tmp_path: Path) -> None:
    server, client = certificate(tmp_path, "hooks.example.com")
    async with receiver(tls=server) as them:
        hosts = [f"hooks.example.com:{them.port}", f"wrong.example.com:{them.port}"]
        async with sender(them.port, hosts=hosts, tls=client) as own:
            right = await own.send(delivery(f"https://hooks.example.com:{them.port}/"))
            wrong = await own.send(delivery(f"https://wrong.example.com:{them.port}/"))
            again = await own.send(delivery(f"https://hooks.example.com:{them.port}/"))
        async with sender(them.port, hosts=hosts) as stranger:
            unknown = await stranger.send(delivery(f"https://hooks.example.com:{them.port}/"))
    assert (right.error, again.error) == (None, None)
    assert "CERTIFICATE_VERIFY_FAILED" in (wrong.error or "")
    assert "CERTIFICATE_VERIFY_FAILED" in (unknown.error or "")
    assert len(them.received) == 2


async def test_names_are_looked_up_as_the_machine_does() -> None:
    assert "127.0.0.1" in await resolve("localhost", 80)
    for name in ("a" * 64 + ".example", "none.invalid"):
        with pytest.raises(OSError, match=r"label|[Nn]ame"):
            await resolve(name, 80)
