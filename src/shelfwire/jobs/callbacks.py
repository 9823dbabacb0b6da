"""Which addresses may be called when a job ends.

The caller of the server chooses the address and the server calls it, from inside its own network, so only hosts that
the operator has named are called. An address is checked where it is taken, and again at each try: what a name stands
for may change, and so may the settings. A try connects to the address that was checked.
"""

import contextlib
import ipaddress
import re
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from shelfwire.addresses import DEFAULT_PORTS, Address, address_of, authority_of
from shelfwire.errors import Code, ShelfwireError

MAX_URL_CHARS: Final = 2000
_PLAIN: Final = re.compile(r"[!-~]+")
_EMBEDDING: Final = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")))
"""Networks whose addresses have an IPv4 address as their end: RFC 6052, 4291 and 7915."""
_LOCAL: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
"""For translation within one's own network: RFC 8215."""
_LOW_BITS: Final = 32

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Looks up the addresses of a host for a port.

It raises `OSError` where there are none, or none that could be found now.
"""


class Callback(NamedTuple):
    """An address to call, in its parts.

    Attributes:
        scheme: `http` or `https`.
        host: a name or address, in lower case, an IPv6 address without brackets.
        port: the port.
        target: path and query.
        is_trusted: whether the operator has named host and port, so that it may be private and without encryption.
    """

    scheme: str
    host: str
    port: int
    target: str
    is_trusted: bool

    @property
    def authority(self) -> str:
        """The host as the header `Host` has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


class CallbackRules:
    """The operator's rules.

    Args:
        hosts: those that may be called, as `addresses.callback_host_of` writes them.
        resolve: looks up names.
    """

    def __init__(self, hosts: Collection[str], resolve: Resolve) -> None:
        self._hosts = frozenset(hosts)
        self._resolve = resolve

    async def admit(self, url: str) -> str:
        """Check the address of a new job, and return it. A name that cannot be looked up now is left to the tries.

        Raises:
            ShelfwireError: `E_CALLBACK_REFUSED`.
        """
        callback = self.read(url)
        with contextlib.suppress(OSError):
            await self.addresses(callback)
        return url

    def read(self, url: str) -> Callback:
        """Take an address to pieces.

        Raises:
            ShelfwireError: `E_CALLBACK_REFUSED`: it is none, or may not be called whatever it stands for.
        """
        if len(url) > MAX_URL_CHARS or not _PLAIN.fullmatch(url) or "\\" in url:
            raise _refused(f"it must be a URL of at most {MAX_URL_CHARS} ASCII characters, without spaces")
        try:
            parts = urlsplit(url)
        except ValueError:
            raise _refused("it is no URL") from None
        scheme, authority = parts.scheme, authority_of(parts.netloc)
        if "@" in parts.netloc or "#" in url:
            raise _refused("it must have no user, no password and no fragment")
        if scheme not in DEFAULT_PORTS or authority is None:
            raise _refused("it must begin with https:// and a host")
        port = DEFAULT_PORTS[scheme] if authority.port is None else authority.port
        is_trusted = f"{authority.name}:{port}" in self._hosts
        if not is_trusted and (authority.name not in self._hosts or port != DEFAULT_PORTS["https"]):
            raise _refused(f"the setting callback_hosts does not name {authority.name} with the port {port}")
        if not is_trusted and scheme != "https":
            raise _refused("it must begin with https://")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Callback(scheme, authority.name, port, target, is_trusted)

    async def addresses(self, callback: Callback) -> list[Address]:
        """Look up an address to call, and check all that it stands for.

        Raises:
            ShelfwireError: `E_CALLBACK_REFUSED`: something private is among it.
            OSError: it cannot be looked up.
        """
        found = [address_of(text) for text in await self._resolve(callback.host, callback.port)]
        addresses = [address for address in found if address is not None]
        if not addresses:
            raise OSError(f"{callback.host} has no address")
        if not callback.is_trusted and not all(map(is_public, addresses)):
            raise _refused(
                f"{callback.host} stands for a private address; to call it all the same, the setting callback_hosts "
                f"has to name it with its port, as {callback.host}:{callback.port}"
            )
        return addresses


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public network, and so does every one that is wrapped in it."""
    if isinstance(address, ipaddress.IPv6Address) and address in _LOCAL:
        return False
    return all(one.is_global and not one.is_multicast for one in _wrapped(address))


def _wrapped(address: Address) -> Iterator[Address]:
    yield address
    if isinstance(address, ipaddress.IPv6Address):
        if address.sixtofour is not None:
            yield address.sixtofour
        if any(address in network for network in _EMBEDDING):
            yield ipaddress.IPv4Address(int(address) & ((1 << _LOW_BITS) - 1))


def _refused(reason: str) -> ShelfwireError:
    return ShelfwireError(Code.CALLBACK_REFUSED, f"callbackUrl is refused: {reason}")
