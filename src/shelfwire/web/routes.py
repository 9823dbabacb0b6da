"""All routes: the engine's, and those of plug-ins, which are checked here."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, get_args, get_type_hints

from shelfwire.jobs.pipeline import Pipeline
from shelfwire.plugins import Plugin, PluginError
from shelfwire.plugins.checks import misdeclared, shown
from shelfwire.plugins.loading import parts_of
from shelfwire.web import (
    admin,
    corrections,
    deliveries,
    events,
    health,
    job_details,
    jobs,
    listing,
    operator_events,
    operator_session,
    overview,
    reporting,
    results,
    schema,
    series,
    timeline,
    tokens,
    work,
)
from shelfwire.web.intakes import FORM_TYPE
from shelfwire.web.route import Route
from shelfwire.web.socket import PATH as SOCKET

ROUTES: Final[Sequence[Route]] = (
    *jobs.ROUTES,
    *listing.ROUTES,
    *work.ROUTES,
    *reporting.ROUTES,
    *results.ROUTES,
    timeline.ROUTE,
    *corrections.ROUTES,
    *events.ROUTES,
    *tokens.ROUTES,
    *admin.ROUTES,
    *overview.ROUTES,
    *job_details.ROUTES,
    *operator_events.ROUTES,
    *operator_session.ROUTES,
    *series.ROUTES,
    *deliveries.ROUTES,
    *health.ROUTES,
    *schema.ROUTES,
)
"""The engine's routes."""
METHODS: Final = get_args(get_type_hints(Route)["method"])
_PATH: Final = re.compile(r"(/([\w.~-]+|\{[a-z][a-z0-9_]*\}))+")
_PARAMETER: Final = re.compile(r"\{(\w+)\}")


def gathered(plugins: Iterable[Plugin], pipelines: Mapping[str, Pipeline]) -> Sequence[Route]:
    """Return the engine's routes and those of plug-ins.

    Args:
        plugins: the plug-ins.
        pipelines: all pipelines, by name.

    Raises:
        PluginError: a plug-in cannot make its routes, one is misdeclared, or two clash.
    """
    routes = list(ROUTES)
    owners = {claim: "shelfwire itself" for route in ROUTES for claim in _claims(route)}
    paths = {_any_names(route.path): route.path for route in ROUTES} | {SOCKET: ""}
    for plugin in plugins:
        for route in parts_of(plugin, plugin.routes, "routes"):
            source = f"The plug-in {plugin.name!r}"
            if not isinstance(route, Route):
                misdeclared(source, f"has the route {shown(route)}. Write: Route(method=…, path=…, …)")
            what = f"has the route {route.method} {route.path}"
            for reason in _reasons_against(route, pipelines):
                misdeclared(source, f"{what}, {reason}")
            same = paths.setdefault(_any_names(route.path), route.path)
            if same != route.path:
                misdeclared(source, f"{what}, and there is {same or 'the socket of that path'}. Change one of them")
            for claim in _claims(route):
                if claim in owners:
                    raise PluginError(f"{source} has {claim}, and so has {owners[claim]}. Rename it, or uninstall one")
                owners[claim] = f"the plug-in {plugin.name!r}"
            routes.append(route)
    return tuple(routes)


def _claims(route: Route) -> list[str]:
    """Return what only one route may have."""
    named = [f"the operation_id {route.operation_id!r}"] if route.documented else []
    return [f"the route {route.method} {route.path}", *named]


def _any_names(path: str) -> str:
    return _PARAMETER.sub("{}", path)


def _reasons_against(route: Route, pipelines: Mapping[str, Pipeline]) -> Iterator[str]:
    """Say why a route cannot be served or described, if it cannot."""
    names = _PARAMETER.findall(route.path)
    handler: Any = route.handler
    if route.method not in METHODS:
        yield f"whose method is none of {', '.join(METHODS)}"
    if not _PATH.fullmatch(route.path) or len(set(names)) != len(names):
        yield "whose path cannot be served. Write it as /api/things/{thing_id}, each name once and no slash at the end"
    if set(names) != set(route.path_parameters):
        yield "whose path_parameters are not those of its path. Write a sentence about each"
    if not any(map(inspect.iscoroutinefunction, (handler, getattr(handler, "__call__", None)))):  # noqa: B004 - it is looked at
        yield "whose handler is no coroutine. Write: async def handler(request, context)"
    if not set(HTTPStatus).issuperset(route.answers):
        yield f"whose answers have a status that HTTP does not know: {', '.join(map(str, route.answers))}"
    if route.pipeline is not None:
        if route.pipeline not in pipelines:
            yield f"which makes jobs of the pipeline {route.pipeline!r}, and there is none of that name"
            return
        form = route.body.content.get(FORM_TYPE, {}) if route.body is not None else {}
        options = pipelines[route.pipeline].options.__struct_encode_fields__
        for both in sorted(set(form.get("required", ())).intersection(options)):
            yield f"whose form field {both} is an option of the pipeline, too. Rename one"
