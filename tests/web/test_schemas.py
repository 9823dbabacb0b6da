"""The server serves the documents that describe it."""

from openapi_spec_validator import OpenAPIV31SpecValidator

from shelfwire.protocol.asyncapi import asyncapi
from shelfwire.protocol.schema import message_schema
from shelfwire.web.schemas import openapi
from tests.live import MakeServer


async def test_each_document_is_served_to_anybody(make_server: MakeServer) -> None:
    async with make_server() as server:
        for name, document in {"openapi": openapi(), "asyncapi": asyncapi(), "messages": message_schema()}.items():
            response = await server.http.get(f"/schema/{name}.json")
            assert (response.status_code, response.json()) == (200, document)
            assert response.headers["content-type"].endswith("json")


def test_the_openapi_document_is_valid() -> None:
    OpenAPIV31SpecValidator(openapi()).validate()
