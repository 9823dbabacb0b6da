"""What proxies in front say of a request: whose it is, and what it was asked for with.

Anybody can send such headers, so that they count only where the connection comes from a trusted proxy.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

from shelfwire.addresses import PATH_PREFIX, Address, address_of

ORIGINAL_HOST: Final = "shelfwire.original_host"
"""The member of a scope with the header `Host` in whose place the host from a trusted proxy was put."""
SCHEMES: Final = frozenset({"http", "https", "ws", "wss"})
_PORT: Final = re.compile(r"(?:(?P<v4>[0-9.]+)|\[(?P<v6>[^\]]*)\])(?::[0-9]*)?")


class TrustedProxies:
    """Reads `X-Forwarded-For`, `-Proto`, `-Host` and `-Prefix` of requests that come from a trusted proxy.

    Of several values the last counts, which the proxy added itself; of addresses the last that is no trusted proxy's.
    What cannot be understood is passed over.

    Args:
        networks: the addresses of the proxies, or networks of them.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._networks = [ip_network(network) for network in networks]

    def apply(self, scope: Scope) -> str:
        """Write what the proxy says into the scope of a request or a handshake.

        Returns:
            The path that it has cut off, encoded; empty if it names none.
        """
        host, port = scope.get("client") or ("", 0)
        peer = address_of(host)
        if peer is None or not self.trusts(peer):
            return ""
        headers = Headers(scope=scope)
        address = self._client(peer, _values(headers, "x-forwarded-for"))
        scope["client"] = (str(address), port if address == peer else 0)
        scheme = _last(headers, "x-forwarded-proto").lower()
        if scheme in SCHEMES:
            secure = scheme in {"https", "wss"}
            scope["scheme"] = ("wss" if secure else "ws") if scope["type"] == "websocket" else f"http{'s' * secure}"
        if asked := _last(headers, "x-forwarded-host"):
            scope[ORIGINAL_HOST] = headers.get("host")
            others = [header for header in scope["headers"] if header[0] != b"host"]
            scope["headers"] = [(b"host", asked.encode("latin-1")), *others]
        prefix = _last(headers, "x-forwarded-prefix")
        return prefix if re.fullmatch(PATH_PREFIX, prefix) else ""

    def _client(self, peer: Address, forwarded: Iterable[str]) -> Address:
        """Return the address that is nearest to the client and known from proxies that are trusted."""
        address = peer
        for text in reversed(list(forwarded)):
            named = address_of(_without_port(text))
            if named is None:
                break
            address = named
            if not self.trusts(address):
                break
        return address

    def trusts(self, address: Address) -> bool:
        """Whether an address is that of a trusted proxy."""
        return any(address in network for network in self._networks)


def _without_port(text: str) -> str:
    match = _PORT.fullmatch(text)
    return text if match is None else match["v4"] or match["v6"] or ""


def _values(headers: Headers, name: str) -> list[str]:
    return [value.strip() for line in headers.getlist(name) for value in line.split(",")]


def _last(headers: Headers, name: str) -> str:
    values = _values(headers, name)
    return values[-1] if values else ""
