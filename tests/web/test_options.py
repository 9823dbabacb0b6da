"""The options of a job, as form fields or query parameters of the request that creates it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import httpx2
import msgspec
import pytest

from shelfwire.app import Shelfwire
from shelfwire.errors import Code, ShelfwireError
from shelfwire.jobs.job import Job
from shelfwire.jobs.pipeline import Pipeline
from shelfwire.server.serving import serving
from shelfwire.settings import Settings
from tests.live import Server

PATH = "/api/pipelines/echo_options/jobs"
FILE: dict[str, Any] = {"file": ("a.txt", b"content")}


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class EchoOptions(msgspec.Struct, frozen=True, rename="camel"):
    colour: Annotated[Colour, msgspec.Meta(description="The colour.")] = Colour.RED
    line_count: Annotated[int, msgspec.Meta(ge=1, le=9, description="The number of lines.")] = 1
    loud: Annotated[bool, msgspec.Meta(description="Whether it is loud.")] = False
    name: Annotated[str | None, msgspec.Meta(description="A name.")] = None

    def __post_init__(self) -> None:
        if self.name and self.name == self.colour:
            raise ValueError("The name must not be the colour")


class EchoPipeline(Pipeline):
    """Records its options, and which inputs it has."""

    name = "echo_options"
    options = EchoOptions

    def check_options(self, options: EchoOptions) -> None:
        if options.loud and options.colour is Colour.BLUE:
            raise ShelfwireError(Code.INVALID_REQUEST, "Blue cannot be loud")

    async def run(self, job: Job) -> str:
        await job.start(total=1)
        inputs = [name for name in ("file", "request", "colour", "options") if await job.input(name)]
        job.record(0, {"options": job.options, "inputs": inputs})
        return "Done"


@asynccontextmanager
async def echoing(folder: Path) -> AsyncIterator[Server]:
    settings = Settings(data=folder, port=0, create_limit=0)
    app = Shelfwire(settings, pipelines=[EchoPipeline()])
    async with serving(app, settings) as url, httpx2.AsyncClient(base_url=url) as http:
        yield Server(url, app, http)


async def echoed(server: Server, **request: Any) -> dict[str, Any]:
    answer = await server.http.post(PATH, **request)
    assert answer.status_code == 202, answer.text
    state = await server.ended(answer.json()["data"])
    echo: dict[str, Any] = state["results"]["items"][0]
    return echo


async def test_options_are_read_from_form_fields_and_query_parameters_alike(tmp_path: Path) -> None:
    wanted = {"colour": "blue", "lineCount": "7", "name": "12"}
    async with echoing(tmp_path) as server:
        as_fields = await echoed(server, files=FILE, data=wanted)
        as_query = await echoed(server, files=FILE, params=wanted)
        with_json = await echoed(server, json={"a": 1}, params=wanted)
    options = {"colour": "blue", "lineCount": 7, "loud": False, "name": "12"}
    assert as_fields == as_query == {"options": options, "inputs": ["file", "options"]}
    assert with_json == {"options": options, "inputs": ["request", "options"]}


async def test_a_form_field_goes_before_a_query_parameter_which_must_be_valid_all_the_same(tmp_path: Path) -> None:
    async with echoing(tmp_path) as server:
        echo = await echoed(server, files=FILE, data={"colour": "blue"}, params={"colour": "red"})
        refused = await server.http.post(PATH, files=FILE, data={"colour": "blue"}, params={"colour": "green"})
    assert echo["options"]["colour"] == "blue"
    assert refused.status_code == 400


async def test_of_options_at_their_defaults_nothing_is_stored(tmp_path: Path) -> None:
    async with echoing(tmp_path) as server:
        echo = await echoed(server, files=FILE, data={"colour": "red", "loud": "false"})
    assert echo["inputs"] == ["file"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("colour", "green", "must be one of: red, blue"),
        ("colour", "", "must be one of: red, blue"),
        ("loud", "1", "must be true or false"),
        ("lineCount", "10", "<= 9"),
        ("lineCount", "1.5", "int"),
        ("lineCount", "many", "int"),
    ],
)
async def test_an_option_that_is_not_valid_is_refused_with_the_values_that_are(
    tmp_path: Path, name: str, value: str, words: str
) -> None:
    async with echoing(tmp_path) as server:
        for where in ("data", "params"):
            request: dict[str, Any] = {where: {name: value}}
            answer = await server.http.post(PATH, files=FILE, **request)
            assert (answer.status_code, answer.json()["code"]) == (400, Code.INVALID_REQUEST)
            assert answer.json()["detail"].startswith(f"{name} ")
            assert words in answer.json()["detail"]


async def test_options_that_the_pipeline_refuses_make_no_job(tmp_path: Path) -> None:
    async with echoing(tmp_path) as server:
        answer = await server.http.post(PATH, files=FILE, data={"colour": "blue", "loud": "true"})
    assert (answer.status_code, answer.json()["detail"]) == (400, "Blue cannot be loud")


async def test_options_that_their_struct_refuses_together_make_no_job(tmp_path: Path) -> None:
    async with echoing(tmp_path) as server:
        answer = await server.http.post(PATH, files=FILE, data={"colour": "blue", "name": "blue"})
    assert (answer.status_code, answer.json()["detail"]) == (400, "The name must not be the colour")


async def test_no_input_takes_the_place_of_checked_options(tmp_path: Path) -> None:
    async with echoing(tmp_path) as server:
        answer = await server.http.post(PATH, files={**FILE, "options": ("o.json", b'{"lineCount": 99}')})
    assert (answer.status_code, answer.json()["code"]) == (400, Code.INVALID_REQUEST)
    assert "options" in answer.json()["detail"]


async def test_options_count_for_the_idempotency_key_and_not_for_the_metadata(tmp_path: Path) -> None:
    key = {"Idempotency-Key": "a-key-that-nobody-guesses"}
    async with echoing(tmp_path) as server:
        answers = [
            await server.http.post(PATH, files=FILE, params=params, headers=key)
            for params in ({"colour": "blue"}, {"colour": "blue"}, {"colour": "red"})
        ]
        state = await server.ended(answers[0].json()["data"])
    assert [answer.status_code for answer in answers] == [202, 202, 422]
    assert state["metadata"] == {"fileName": "a.txt", "fileSize": len(b"content")}


async def test_a_host_gives_options_from_inside(tmp_path: Path) -> None:
    async with echoing(tmp_path) as server:
        token = await server.app.start("echo_options", {"file": b"x"}, EchoOptions(colour=Colour.BLUE))
        state = await server.ended({"jobId": token.job_id, "token": token.token})
    assert state["results"]["items"][0]["options"]["colour"] == "blue"
