"""The hosts that a server answers for.

A website can have its own name resolve to this machine (DNS rebinding). A browser then takes the server for a part of
the website, whose scripts may read every answer; only the header `Host` still has the website's name.
"""

from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from shelfwire.addresses import ANY, authority_of, is_loopback
from shelfwire.errors import Code, ShelfwireError
from shelfwire.settings import Settings
from shelfwire.web.proxies import ORIGINAL_HOST
from shelfwire.web.responses import refusal
from shelfwire.web.socket import refuse

MAX_QUOTED: Final = 200


class AllowedHosts:
    """The hosts that a server answers for.

    Loopback names are answered for always: no website has one. So is a request without the header, which no browser
    sends.

    Args:
        settings: the allowed hosts.
        standalone: whether the server is shelfwire's own. Where it listens on loopback, it answers for no other host
            than the allowed ones even if there are none.
    """

    def __init__(self, settings: Settings, *, standalone: bool) -> None:
        self._allowed = frozenset({*settings.allowed_hosts, settings.host.lower()})
        restricted = bool(settings.allowed_hosts) or (standalone and is_loopback(settings.host))
        self.any = not restricted or ANY in settings.allowed_hosts

    def include(self, host: str | None) -> bool:
        """Whether a request for this host is answered."""
        if self.any or host is None:
            return True
        authority = authority_of(host)
        return authority is not None and (authority.name in self._allowed or is_loopback(authority.name))


class HostCheck:
    """Refuses requests and handshakes for other hosts with `E_MISDIRECTED`.

    Where a trusted proxy names the host, that of the proxy's own request has to be allowed as well: a browser's script
    can name any host in a header, but not in `Host`.

    Args:
        app: the application inside.
        hosts: the hosts that the server answers for.
    """

    def __init__(self, app: ASGIApp, hosts: AllowedHosts) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or a handshake on, or refuse it."""
        asked = () if self._hosts.any else (Headers(scope=scope).get("host"), scope.get(ORIGINAL_HOST))
        refused = next((host for host in asked if host is not None and not self._hosts.include(host)), None)
        if refused is None:
            await self._app(scope, receive, send)
            return
        error = ShelfwireError(
            Code.MISDIRECTED,
            f"This server does not answer for the host {refused[:MAX_QUOTED]!r}. "
            "Add its name to the setting 'allowed_hosts'",
        )
        if scope["type"] == "websocket":
            await receive()
            await refuse(scope, send, error)
        else:
            await refusal(Request(scope), error)(scope, receive, send)
