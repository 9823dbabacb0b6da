"""The routes: one that creates jobs, and one that shows the glossary."""

from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.web.creation import FORM_TYPE, JSON_TYPE, FormIntake, creation_route
from shelfwire.web.route import Answer, Context, Route
from shelfwire_glossary import Glossary, GlossaryCode
from shelfwire_glossary.pipeline import GlossaryCheck


class Terms(msgspec.Struct, frozen=True):
    """The answer that shows the glossary."""

    replacements: dict[str, str]


def routes(glossary: Glossary) -> Sequence[Route]:
    """Make the routes.

    Args:
        glossary: the service.
    """

    async def show_glossary(_: Request, __: Context) -> Response:
        """Return the terms that are replaced, each with its replacement."""
        terms = Terms(dict(glossary.replacements))
        return Response(msgspec.json.encode(terms), media_type=JSON_TYPE)

    return (
        creation_route(
            "/api/glossary/checks",
            GlossaryCheck.name,
            {FORM_TYPE: FormIntake(field="file")},
            operation_id="check_text",
            summary="Check a text, sent as the form field `file`.",
            refusals=[GlossaryCode.NO_GLOSSARY, GlossaryCode.UNKNOWN_TERM],
        ),
        Route(
            method="GET",
            path="/api/glossary",
            handler=show_glossary,
            answers={200: Answer(content={JSON_TYPE: Terms})},
        ),
    )
