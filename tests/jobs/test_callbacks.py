"""Which addresses may be called: the table of what servers were made to call elsewhere."""

from collections.abc import Sequence
from ipaddress import ip_address

import pytest

from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.callbacks import CallbackRules, is_public

HOSTS = ("hooks.example.com", "hooks.internal:8080")
PUBLIC = "93.184.215.14"


def rules(*addresses: str, hosts: Sequence[str] = HOSTS) -> CallbackRules:
    async def resolve(_host: str, _port: int) -> Sequence[str]:
        if not addresses:
            raise OSError("no such host")
        return addresses

    return CallbackRules(hosts, resolve)


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost/",
        "https://127.0.0.1/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:10.0.0.1]/",
        "http://hooks.example.com/",
        "https://user@hooks.example.com/",
        "https://user:password@hooks.example.com/",
        "https://hooks.example.com@evil.example/",
        "https://evil.example/",
        "https://hooks.example.com.evil.example/",
        "https://sub.hooks.example.com/",
        "https://hooks.example.com:8443/",
        "https://hooks.example.com:22/",
        "https://hooks.internal/",
        "https://hooks.example.com/#fragment",
        "https://hooks.example.com/#",
        "https://hooks.example.com\\@evil.example/",
        "https://hooks.example.com\n.evil.example/",
        "https://hooks.example.com/ a",
        "https://hooks.example.com/" + "a" * 2000,
        "https://hööks.example.com/",
        "https://hooks.example.com:99999999/",
        "https://[hooks.example.com/",
        "ftp://hooks.example.com/",
        "file:///etc/passwd",
        "//hooks.example.com/",
        "hooks.example.com",
        "",
    ],
)
async def test_what_the_operator_has_not_named_is_refused(url: str) -> None:
    with pytest.raises(ShelfwireError) as refused:
        await rules(PUBLIC).admit(url)
    assert refused.value.code is Code.CALLBACK_REFUSED


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",  # noqa: S104 - nothing listens here
            "224.0.0.1",
        ),
        *("::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1"),
        *("2002:7f00:1::", "2002:a00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2001:db8::1"),
        *("::7f00:1", "::a00:1", "::ffff:0:7f00:1", "64:ff9b:1::7f00:1"),
    ],
)
async def test_a_named_host_that_stands_for_something_private_is_refused(address: str) -> None:
    for found in ([address], [PUBLIC, address]):
        with pytest.raises(ShelfwireError) as refused:
            await rules(*found).admit("https://hooks.example.com/a")
        assert refused.value.code is Code.CALLBACK_REFUSED
        assert "hooks.example.com:443" in refused.value.message, "it says what to do"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://hooks.example.com", ("https", "hooks.example.com", 443, "/", "hooks.example.com")),
        ("HTTPS://Hooks.Example.com.:443/a?b=c", ("https", "hooks.example.com", 443, "/a?b=c", "hooks.example.com")),
        ("http://hooks.internal:8080/a", ("http", "hooks.internal", 8080, "/a", "hooks.internal:8080")),
        ("https://hooks.internal:8080/?a", ("https", "hooks.internal", 8080, "/?a", "hooks.internal:8080")),
    ],
)
async def test_what_the_operator_has_named_is_taken(url: str, parts: tuple[str, str, int, str, str]) -> None:
    callback = rules().read(url)
    assert (callback.scheme, callback.host, callback.port, callback.target, callback.authority) == parts
    assert await rules(PUBLIC).admit(url) == url


async def test_a_host_that_is_named_with_its_port_may_be_private() -> None:
    assert await rules("10.0.0.1").admit("http://hooks.internal:8080/")


async def test_an_address_may_be_named_too() -> None:
    own = rules("::1", hosts=["::1:8080"])
    assert own.read("http://[::1]:8080/").authority == "[::1]:8080"


async def test_a_name_that_cannot_be_looked_up_now_is_left_to_the_tries() -> None:
    assert await rules().admit("https://hooks.example.com/")
    with pytest.raises(OSError, match="no such host"):
        await rules().addresses(rules().read("https://hooks.example.com/"))


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"])
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(ip_address(address))
