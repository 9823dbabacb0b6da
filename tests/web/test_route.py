"""Routes that a plug-in declares are served and described as the engine's own."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import httpx2
import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from shelfwire.app import Shelfwire
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.plugins import Plugin
from shelfwire.settings import Settings
from shelfwire.web.accept import best_of
from shelfwire.web.creation import JSON_TYPE, JobId, JsonIntake, creation_route
from shelfwire.web.parameters import query_of
from shelfwire.web.responses import json_response
from shelfwire.web.route import Answer, Context, Route


class Greeting(msgspec.Struct, frozen=True):
    """A greeting."""

    text: Annotated[str, msgspec.Meta(description="The words.")]


class GreetingQuery(msgspec.Struct, frozen=True):
    times: Annotated[int, msgspec.Meta(ge=1, description="How often.")]


class SentWords(msgspec.Struct, frozen=True, rename="camel"):
    """Words to count."""

    words: Annotated[list[str], msgspec.Meta(description="The words.")]
    job_id: JobId = None


class WordResult(msgspec.Struct, frozen=True, rename="camel"):
    """The result for a word."""

    letter_count: Annotated[int, msgspec.Meta(description="The number of its letters.")]


class WordFailure(msgspec.Struct, frozen=True, rename="camel"):
    bad_letter: Annotated[str, msgspec.Meta(description="The letter that is none.")]


class WordPipeline(Pipeline):
    name = "words"
    result = WordResult
    failure = WordFailure

    async def run(self, job: Job) -> str:
        await job.start(total=1)
        job.record(0, WordResult(letter_count=len(await job.input("words"))))
        return "Done"


async def greet(request: Request, context: Context) -> Response:
    """Greet somebody."""
    del context
    times, name = query_of(request, GreetingQuery).times, request.path_params["name"]
    match name:
        case "nobody":
            raise HTTPException(404, "Nobody is here")
        case "everybody":
            raise ShelfwireError(Code.FORBIDDEN, "These are too many")
        case "defect":
            raise KeyError(name)
    return json_response(Greeting(text=f"Hello {name}! " * times))


def unpack(sent: SentWords) -> Iterator[tuple[str, bytes]]:
    yield "words", "".join(sent.words).encode()


class Greeter(Plugin):
    name = "greeter"

    def pipelines(self) -> Iterable[Pipeline]:
        return [WordPipeline()]

    def routes(self) -> Iterable[Route]:
        return [
            Route(
                method="GET",
                path="/api/greetings/{name}",
                handler=greet,
                answers={200: Answer(content={JSON_TYPE: Greeting})},
                path_parameters={"name": "The name."},
                query=GreetingQuery,
                refusals=[Code.FORBIDDEN],
            ),
            creation_route(
                "/api/words",
                "words",
                {JSON_TYPE: JsonIntake(schema=SentWords, unpack=unpack)},
                operation_id="count_words",
                summary="Count words.",
            ),
        ]


@pytest.fixture
def app(tmp_path: Path) -> Shelfwire:
    return Shelfwire(Settings(data=tmp_path), plugins=[Greeter()])


def inside(app: Shelfwire) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://x")


async def test_a_route_of_a_plug_in_is_served(app: Shelfwire) -> None:
    async with inside(app) as http:
        answer = await http.get("/api/greetings/Emma?times=2")
    assert (answer.status_code, answer.json()) == (200, {"text": "Hello Emma! Hello Emma! "})


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/greetings/everybody?times=1", 403, Code.FORBIDDEN),
        ("/api/greetings/nobody?times=1", 404, Code.NOT_FOUND),
        ("/api/greetings/defect?times=1", 500, Code.INTERNAL),
        ("/api/greetings/Emma", 400, Code.INVALID_REQUEST),
        ("/api/greetings/Emma?times=0", 400, Code.INVALID_REQUEST),
    ],
)
async def test_what_its_handler_refuses_is_a_problem_document(
    app: Shelfwire, path: str, status: int, code: Code
) -> None:
    async with inside(app) as http:
        answer = await http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_creation_route_of_a_plug_in_makes_jobs(app: Shelfwire) -> None:
    async with app.lifespan(), inside(app) as http:
        answer = await http.post("/api/words", json={"words": ["one", "two"]})
        refused = await http.post("/api/words", json={"words": "one"})
        form = await http.post("/api/words", files={"file": b"one"})
    assert answer.status_code == 202
    assert (refused.status_code, refused.json()["code"]) == (400, Code.INVALID_REQUEST)
    assert (form.status_code, JSON_TYPE in form.json()["detail"]) == (415, True)


def test_it_is_described_with_its_query_its_answer_and_its_results(app: Shelfwire) -> None:
    document = app.openapi()
    OpenAPIV31SpecValidator(document).validate()
    greeting = document["paths"]["/api/greetings/{name}"]["get"]
    schemas: dict[str, Any] = document["components"]["schemas"]
    assert (greeting["operationId"], greeting["summary"]) == ("greet", "Greet somebody.")
    assert [(parameter["name"], parameter["in"], parameter["required"]) for parameter in greeting["parameters"]] == [
        ("name", "path", True),
        ("times", "query", True),
    ]
    content = greeting["responses"]["200"]["content"]
    assert content == {JSON_TYPE: {"schema": {"$ref": "#/components/schemas/Greeting"}}}
    assert "`E_FORBIDDEN`" in greeting["responses"]["403"]["description"]
    assert schemas["ResultItem"]["properties"]["result"]["anyOf"] == [{"$ref": "#/components/schemas/WordResult"}]
    assert schemas["ItemError"]["properties"]["badLetter"]["type"] == "string"
    assert schemas["ItemError"]["required"] == ["code", "message", "userMessage", "retryable"]


@pytest.mark.parametrize("path", ["/health/live/", "//health///live"])
async def test_slashes_too_many_are_passed_over(app: Shelfwire, path: str) -> None:
    async with inside(app) as http:
        answer = await http.get(f"http://x{path}")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("accept", "best"),
    [
        ("", "a/a"),
        ("*/*", "a/a"),
        ("b/b", "b/b"),
        ("b/*, a/a;q=0.5", "b/b"),
        ("b/b;q=0.1, */*;q=0.2", "a/a"),
        ("b/b;q=many", "a/a"),
        ("x/x", "a/a"),
        ("b/b; charset=utf-8", "b/b"),
    ],
)
def test_the_media_type_of_the_best_quality_is_chosen(accept: str, best: str) -> None:
    assert best_of(accept, ["a/a", "b/b"]) == best
