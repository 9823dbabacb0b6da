"""Rows that were not imported are shown with their cells, mended, and tried again."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.csv_import.problems import RowProblem
from shelfwire.books.csv_import.raw_rows import RawRow
from shelfwire.books.csv_import.row_cells import MAX_SHOWN_BYTES, shown_cells, with_cells
from shelfwire.errors import Code
from tests.live import MakeServer, Server

LIST = b"""Title,Author,ISBN,My Rating
Emma,Jane Austen,,5
,Frank Herbert,,4
Persuasion,Jane Austen,,
,George Eliot,,3
Emma,Jane Austen,,5
"""


@pytest.fixture
async def server(make_server: MakeServer) -> AsyncIterator[Server]:
    async with make_server() as server:
        yield server


async def failures(server: Server, job: dict[str, Any]) -> list[dict[str, Any]]:
    await server.ended(job)
    page = (await server.ask("GET", job, "/results", params={"status": "failed"})).json()["data"]
    items: list[dict[str, Any]] = page["items"]
    return items


async def mended(server: Server, job: dict[str, Any], items: list[dict[str, Any]], **more: Any) -> list[dict[str, Any]]:
    answer = await server.ask("POST", job, "/retry", json={"items": items, **more})
    assert answer.status_code == 202, answer.text
    again = answer.json()["data"]
    await server.ended(again)
    found: list[dict[str, Any]] = (await server.ask("GET", again, "/results")).json()["data"]["items"]
    return found


async def test_a_failed_row_has_its_cells_and_the_column_to_look_at(server: Server) -> None:
    job = await server.submit(LIST)
    herbert, eliot, emma = await failures(server, job)
    assert herbert["error"]["cells"] == {"Title": "", "Author": "Frank Herbert", "ISBN": "", "My Rating": "4"}
    assert (herbert["index"], herbert["error"]["field"], herbert["error"]["row"]) == (1, "Title", 3)
    assert list(eliot["error"]["cells"]) == ["Title", "Author", "ISBN", "My Rating"]
    assert "clipped" not in herbert["error"]
    assert emma["error"]["earlierRow"] == 2
    assert "cells" not in emma["error"]


async def test_mended_rows_alone_are_tried_with_what_else_they_have(server: Server) -> None:
    job = await server.submit(LIST)
    await server.ended(job)
    (item,) = await mended(server, job, [{"index": 1, "cells": {"Title": "Dune"}}], only="given")
    assert (item["index"], item["sourceIndex"], item["ok"]) == (0, 1, True)
    book = {key: value for key, value in item["result"].items() if key != "plan"}
    assert book == {"title": "Dune", "authors": ["Frank Herbert"], "row": 3, "rating": 4.0}


async def test_without_only_all_that_was_left_is_tried(server: Server) -> None:
    job = await server.submit(LIST)
    await server.ended(job)
    items = await mended(server, job, [{"index": 1, "book": {"title": "Dune", "author": "Frank Herbert"}}])
    assert [(item["sourceIndex"], item["ok"]) for item in items] == [(1, True), (3, False), (4, False)]


async def test_a_mended_row_is_a_repetition_of_any_row_of_the_first_job(server: Server) -> None:
    job = await server.submit(LIST)
    await server.ended(job)
    given = [
        {"index": 1, "cells": {"Title": "Persuasion", "Author": "Jane Austen", "My Rating": ""}},
        {"index": 3, "cells": {"Title": "Persuasion", "Author": "Jane Austen", "My Rating": ""}},
    ]
    first, second = await mended(server, job, given, only="given")
    assert [item["error"]["code"] for item in (first, second)] == ["E_DUPLICATE"] * 2
    assert first["error"]["earlierRow"] == second["error"]["earlierRow"] == 4


async def test_a_mended_row_that_says_more_than_an_imported_one_is_not_lost(server: Server) -> None:
    job = await server.submit(LIST)
    await server.ended(job)
    cells = {"Title": "Persuasion", "Author": "Jane Austen"}
    (item,) = await mended(server, job, [{"index": 3, "cells": cells}], only="given")
    assert item["result"]["rating"] == 3
    assert "both were kept" in item["result"]["warnings"][0]


async def test_rows_mended_one_after_the_other_are_compared_with_each_other(server: Server) -> None:
    job = await server.submit(LIST)
    await server.ended(job)
    first = (
        await server.ask(
            "POST", job, "/retry", json={"items": [{"index": 1, "book": {"title": "Silas Marner"}}], "only": "given"}
        )
    ).json()["data"]
    await server.ended(first)
    again = (await server.ask("POST", job, "/retry")).json()["data"]
    failed = await failures(server, again)
    assert [item["sourceIndex"] for item in failed] == [1, 3, 4]
    # A retry of that one, with indices of its own.
    third = await mended(server, again, [{"index": 0, "book": {"title": "Dune"}}], only="given")
    assert [item["sourceIndex"] for item in third] == [1]
    both = [{"index": 0, "book": {"title": "Romola"}}, {"index": 1, "book": {"title": "Romola"}}]
    made, repeated = await mended(server, again, both, only="given")
    assert (made["ok"], repeated["error"]["earlierRow"]) == (True, 3)


async def test_a_row_mended_in_a_column_that_is_not_there_fails_with_those_that_are(server: Server) -> None:
    job = await server.submit(LIST)
    await server.ended(job)
    (item,) = await mended(server, job, [{"index": 1, "cells": {"Name": "Dune"}}], only="given")
    assert 'no column "Name"' in item["error"]["userMessage"]
    assert '"Title", "Author"' in item["error"]["userMessage"]
    assert item["error"]["cells"]["Author"] == "Frank Herbert"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"items": [{"index": 0, "cells": {}}]}, 422, Code.ITEM_UNKNOWN),
        ({"items": [{"index": 5, "cells": {}}]}, 422, Code.ITEM_UNKNOWN),
        ({"items": [{"index": -1, "cells": {}}]}, 422, Code.ITEM_UNKNOWN),
        ({"items": [{"index": 1}]}, 400, Code.INVALID_REQUEST),
        ({"items": [{"index": 1, "cells": {}, "book": {"title": "A"}}]}, 400, Code.INVALID_REQUEST),
        ({"items": [{"index": 1, "book": {"title": " "}}]}, 400, Code.INVALID_REQUEST),
        ({"items": [{"index": 1, "cells": {"Title": 1}}]}, 400, Code.INVALID_REQUEST),
        ({"items": [{"cells": {}}]}, 400, Code.INVALID_REQUEST),
        ({"items": [{"index": True, "cells": {}}]}, 400, Code.INVALID_REQUEST),
        ({"items": [{"index": 1, "cells": {}}, {"index": 1, "cells": {}}]}, 400, Code.INVALID_REQUEST),
        ({"only": "given"}, 400, Code.INVALID_REQUEST),
        ({"items": [{"index": 1, "cells": {"Title": "x" * 1_100_000}}]}, 413, Code.FILE_TOO_LARGE),
    ],
)
async def test_what_cannot_be_mended_makes_no_job(server: Server, body: Any, status: int, code: Code) -> None:
    job = await server.submit(LIST)
    await server.ended(job)
    answer = await server.ask("POST", job, "/retry", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert len((await server.app.service.jobs()).states) == 1


async def test_a_retry_that_is_sent_again_makes_one_job_and_with_other_cells_none(server: Server) -> None:
    job = await server.submit(LIST)
    await server.ended(job)
    headers = {"Idempotency-Key": "once"}
    one, other = ({"items": [{"index": 1, "cells": {"Title": title}}]} for title in ("Dune", "Emma"))
    first = await server.ask("POST", job, "/retry", json=one, headers=headers)
    again = await server.ask("POST", job, "/retry", json=one, headers=headers)
    different = await server.ask("POST", job, "/retry", json=other, headers=headers)
    assert first.json()["data"]["jobId"] == again.json()["data"]["jobId"]
    assert different.json()["code"] == Code.IDEMPOTENCY_MISMATCH


async def test_items_of_a_pipeline_that_takes_no_mended_ones_are_refused(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        server.gate.steps.put_nowait(None)
        await server.ended(job)
        answer = await server.ask("POST", job, "/retry", json={"items": [{"index": 1, "cells": {}}]})
    assert answer.json()["code"] == Code.INVALID_REQUEST
    assert "cannot be mended" in answer.json()["detail"]


CELLS = st.lists(st.text(max_size=3000) | st.just("\ud800=1+1"), max_size=30)


@given(names=st.lists(st.text(max_size=20), min_size=1, max_size=20), cells=CELLS)
def test_the_cells_of_a_row_take_four_kibibytes_at_most_and_what_is_cut_is_named(
    names: list[str], cells: list[str]
) -> None:
    shown = shown_cells([name.encode(errors="replace").decode() for name in names], cells)
    assert len(msgspec.json.encode(shown.cells)) <= MAX_SHOWN_BYTES
    for name, cell in shown.cells.items():
        assert cell.endswith("\u2026") or name not in shown.clipped


def test_a_short_cell_stands_whole_beside_a_long_one() -> None:
    shown = shown_cells(["Title", "Review"], ["Dune", "x" * 100_000])
    assert shown.cells["Title"] == "Dune"
    assert shown.clipped == ("Review",)
    assert 1000 < len(shown.cells["Review"]) < 4096


def test_cells_beyond_the_header_and_columns_of_one_name_are_told_apart() -> None:
    names, cells = ["Title", "Tag", "Tag"], ["Dune", "a", "b", "c"]
    assert shown_cells(names, cells).cells == {
        "Title": "Dune",
        "Tag (column 2)": "a",
        "Tag (column 3)": "b",
        "column 4": "c",
    }
    raw = RawRow(7, cells, "It is broken")
    assert with_cells(names, raw, cells, {"Tag (column 3)": "x", "column 4": ""}) == RawRow(7, ["Dune", "a", "x", ""])
    assert with_cells(names, raw, cells[:1], {"Tag (column 3)": "x"}) == RawRow(7, ["Dune", "", "x"])
    with pytest.raises(RowProblem, match='no column "Tag"'):
        with_cells(names, raw, cells, {"Tag": "x"})
