"""Finds the route of a request, and answers with a problem document where there is none or where it fails."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from shelfwire.errors import Code, ShelfwireError
from shelfwire.web.responses import refusal, refusal_of
from shelfwire.web.root_path import path_of
from shelfwire.web.route import Context, Handler, Route
from shelfwire.web.socket import refuse

TEMPLATE: Final = "path_template"
"""The key of a scope that holds the path of its route, for traces."""
_SLASHES: Final = re.compile(r"/{2,}")


class Router:
    """The routes as one ASGI application.

    A path may end in a slash, and have several in place of one.

    Args:
        context: given to the handlers; its routes are served.
        pages: routes beside them; one of a plug-in takes the place of a page.
        others: other ASGI applications, by their paths, which take every method and WebSockets.
    """

    def __init__(self, context: Context, pages: Iterable[Route], others: Mapping[str, ASGIApp]) -> None:
        by_path: defaultdict[str, list[Route]] = defaultdict(list)
        for route in (*pages, *context.routes):
            by_path[route.path].append(route)
        resources = {path: _Resource(path, routes, context) for path, routes in by_path.items()}
        self._fixed: dict[str, ASGIApp] = {path: app for path, app in resources.items() if "{" not in path}
        self._fixed.update(others)
        self._patterns = [(compile_path(path)[0], app) for path, app in resources.items() if "{" in path]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request or a handshake."""
        path = _SLASHES.sub("/", scope["path"].removeprefix(scope["root_path"])).rstrip("/") or "/"
        app = self._fixed.get(path) or self._matching(path, scope)
        if scope["type"] == "websocket" and (app is None or isinstance(app, _Resource)):
            await receive()
            await refuse(scope, send, ShelfwireError(Code.NOT_FOUND, f"No progress socket is at {path_of(scope)}"))
            return
        if app is None:
            error = ShelfwireError(Code.NOT_FOUND, f"No such route: {path_of(scope)}")
            app = refusal(Request(scope), error)
        await app(scope, receive, send)

    def _matching(self, path: str, scope: Scope) -> ASGIApp | None:
        if "\0" in path:  # nothing is named so, and PostgreSQL does not even look for it
            return None
        for pattern, app in self._patterns:
            if match := pattern.match(path):
                scope["path_params"] = match.groupdict()
                return app
        return None


class _Resource:
    """The routes of one path."""

    def __init__(self, path: str, routes: Iterable[Route], context: Context) -> None:
        self._path = path
        self._handlers: dict[str, Handler] = {route.method: route.handler for route in routes}
        if "GET" in self._handlers and "{" not in path:  # what is below a job may be a stream
            self._handlers.setdefault("HEAD", self._handlers["GET"])  # the server around us sends no body (RFC 9110)
        self._allow = {"Allow": ", ".join(sorted({*self._handlers, "OPTIONS"}))}
        self._context = context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[TEMPLATE] = self._path
        request = Request(scope, receive, send)
        begun = False

        async def sending(event: Any) -> None:
            nonlocal begun
            begun = True
            await send(event)

        try:
            answer = await self._answer(request)
            await answer(scope, receive, sending)
        except Exception as error:
            if begun:
                raise
            await refusal_of(request, error)(scope, receive, send)

    async def _answer(self, request: Request) -> ASGIApp:
        handler = self._handlers.get(request.method)
        if handler is not None:
            return await handler(request, self._context)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=self._allow)
        error = ShelfwireError(Code.METHOD_NOT_ALLOWED, f"{path_of(request.scope)} does not take {request.method}")
        return refusal(request, error, self._allow)
