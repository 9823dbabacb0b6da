"""The ASGI application: the routes and the progress socket, with what every request passes first."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.routing import Router as StarletteRouter
from starlette.types import ASGIApp, Receive, Scope, Send

from shelfwire.clock import Clock
from shelfwire.tracing import traced_application
from shelfwire.web import pages
from shelfwire.web.hosts import AllowedHosts, HostCheck
from shelfwire.web.middleware import RequestMiddleware
from shelfwire.web.proxies import TrustedProxies
from shelfwire.web.root_path import mount_below, own_scope
from shelfwire.web.route import Context
from shelfwire.web.router import Router
from shelfwire.web.socket import PATH, ProgressSocket
from shelfwire.web.uploads import Pace


class Application:
    """Serves the routes of a context, `/ws/progress`, and the lifespan of whoever runs it by itself.

    Args:
        context: see `Context`.
        lifespan: opens the engine until the context manager ends.
        clock: the time.
        new_id: makes the id of a request.
        standalone: whether a server of shelfwire's own serves it, which has pages for browsers; see `HostCheck`.
    """

    def __init__(
        self,
        context: Context,
        lifespan: Callable[[], AbstractAsyncContextManager[None]],
        clock: Clock,
        new_id: Callable[[], str],
        *,
        standalone: bool = False,
    ) -> None:
        shown = pages.routes(context.settings) if standalone else ()
        router = Router(context, shown, {PATH: ProgressSocket(context)})
        app: ASGIApp = context.access.cors(router)
        self._app = RequestMiddleware(
            HostCheck(traced_application(app), AllowedHosts(context.settings, standalone=standalone)),
            clock,
            new_id=new_id,
            telemetry=context.metrics,
            pace=Pace.of(context.settings),
        )
        self._root = context.settings.root_path
        self._proxies = TrustedProxies(context.settings.trusted_proxies)
        self._lifespan = StarletteRouter(lifespan=lambda _: lifespan()).lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, a handshake or the lifespan."""
        serve = self._lifespan if scope["type"] == "lifespan" else self._app
        own = own_scope(scope)
        if scope["type"] != "lifespan":
            mount_below(own, self._proxies.apply(own) or self._root)
        await serve(own, receive, send)
