"""Files that are made to take long: each ends, and the import beside it is not kept from ending."""

import asyncio

import pytest

from tests.live import MakeServer

SIZE = 1024 * 1024


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b'Title\n"' + b'"' * SIZE, id="quotes"),
        pytest.param(b'Title,Author\n"' + b"a" * SIZE, id="a quote that never ends"),
        pytest.param(b"," * SIZE + b"\na,b\n", id="a million columns"),
        pytest.param(b'Title,Author\n"a""b" c,"d\n' * (SIZE // 26), id="quotes that do not match"),
        pytest.param(b"Title;Author,ISBN\tX|Y\n" + b"a;b,c\td|e\n" * (SIZE // 10), id="every delimiter"),
        pytest.param(b"\0" * SIZE, id="no text"),
    ],
)
async def test_a_file_that_makes_no_sense_ends_and_holds_up_no_other(make_server: MakeServer, data: bytes) -> None:
    async with make_server() as server, asyncio.timeout(60):
        hard, easy = await server.submit(data), await server.submit()
        assert (await server.ended(easy))["status"] == "complete"
        assert (await server.ended(hard))["status"] in {"complete", "failed"}
