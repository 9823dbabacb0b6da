"""Names and addresses of the network, as settings and strangers write them."""

import ipaddress
import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

ANY: Final = "*"
"""Among origins or hosts: all of them."""
HOST: Final = r"\[[0-9a-f:.]+\]|[0-9a-z_](?:[0-9a-z._-]*[0-9a-z_-])?"
"""The pattern of a host in a URL, in lower case, without a port."""
PATH_PREFIX: Final = (
    r"(?=.{2,200}$)(?:/(?!(?:\.|%2[eE]){1,2}(?:/|$))"
    r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%(?!2[fF]|5[cC])[0-9A-Fa-f]{2})+)+/?"
)
"""The pattern of a path, encoded, below which a proxy passes requests on.

No slash is encoded in it: decoded, two at the beginning would lead to another host.
"""
HOLDER_BITS: Final = 64
"""Of an IPv6 address: its holder is usually given all that begin with these."""
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_AUTHORITY: Final = re.compile(rf"({HOST})\.?(?::([0-9]{{0,5}}))?")


class Authority(NamedTuple):
    """A host and its port.

    Attributes:
        name: in lower case, an IPv6 address without its brackets.
        port: None where there is none.
    """

    name: str
    port: int | None


def authority_of(text: str) -> Authority | None:
    """Read what the header `Host` holds, or an origin behind its scheme; None if it is something else."""
    match = _AUTHORITY.fullmatch(text.lower())
    return None if match is None else Authority(match[1].strip("[]"), int(match[2]) if match[2] else None)


def address_of(text: str) -> Address | None:
    """Return an address without its zone, an IPv4 address that was mapped into IPv6 as itself; None if it is none."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None) or address


def holder_of(host: str) -> str | None:
    """Return the network that one holder is usually given with an address: itself, or the /64 of an IPv6 address.

    None if it is no address.
    """
    address = address_of(host)
    if isinstance(address, ipaddress.IPv6Address) and not address.is_loopback:
        return str(ipaddress.ip_network((address.packed, HOLDER_BITS), strict=False))
    return None if address is None else str(address)


def origin_of(text: str) -> str:
    """Bring an origin into the form that browsers send.

    Raises:
        ValueError: it is no origin; the text says so to a person.
    """
    if text == ANY:
        return text
    try:
        parts = urlsplit(text.lower())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host = parts.netloc.removesuffix(f":{DEFAULT_PORTS.get(parts.scheme)}")
    if not parts.hostname or port == 0 or f"{parts.scheme}://{parts.netloc}" != text.lower() or set("*@") & set(host):
        raise ValueError(f"{text!r} is not an origin. One looks like https://app.example.com; * stands for all")
    return f"{parts.scheme}://{host}"


def host_of(text: str) -> str:
    """Bring the name of a host into the form in which names are compared.

    Raises:
        ValueError: it is no name of a host; the text says so to a person.
    """
    name = text.lower().removesuffix(".")
    if name != ANY and not re.fullmatch(HOST, name):
        raise ValueError(f"{text!r} is not a host. One looks like books.example.com, without a port; * is for all")
    return name.strip("[]")


def callback_host_of(text: str) -> str:
    """Bring a host, with or without a port, into the form in which the addresses of callbacks are compared with it.

    Raises:
        ValueError: it is none; the text says so to a person.
    """
    authority = authority_of(text)
    if authority is None or authority.port == 0 or text.endswith(":"):
        raise ValueError(
            f"{text!r} is not a host. One looks like hooks.example.com, or like hooks.internal:8080 to allow a private "
            "address and http"
        )
    return authority.name if authority.port is None else f"{authority.name}:{authority.port}"


def root_path_of(text: str) -> str:
    """Return a path below which a proxy passes requests on, without its last slash.

    Raises:
        ValueError: it is no path; the text says so to a person.
    """
    path = text.rstrip("/")
    if path and not re.fullmatch(PATH_PREFIX, path):
        raise ValueError(
            f"{text!r} is not a path. One looks like /jobs, encoded as in a URL, of 200 characters at most"
        )
    return path


def network_of(text: str) -> str:
    """Bring an address, or a network of them, into one form.

    Raises:
        ValueError: it is neither; the text says so to a person.
    """
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is neither an address nor a network: {error}") from None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name or address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
