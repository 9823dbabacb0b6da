"""Network addresses as text, which may come from a stranger."""

import ipaddress
import re
from typing import Final, NamedTuple

from shelfwire.settings import HOST

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

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
