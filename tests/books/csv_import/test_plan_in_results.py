"""What a person learns of how a file was read: in the summary, in the results, and from the options that correct it."""

import json
from typing import Any

from tests.live import MakeServer, Server

LIST = b"Title,Author,Start,Shop,Lent to\nDune,Frank Herbert,2020-01-02,B12,Eva\nEmma,Jane Austen,2020-02-03,B13,\n"


async def imported(server: Server, content: bytes, **fields: str) -> dict[str, Any]:
    """The job's state once it has ended."""
    answer = await server.http.post(
        "/api/import/csv-gemini", files={"file": ("list.csv", content)}, data=fields, timeout=60
    )
    assert answer.status_code == 202, answer.text
    state: dict[str, Any] = await server.ended(answer.json()["data"])
    return state


async def test_columns_that_are_not_used_are_named_once_in_the_summary_and_in_the_results(
    make_server: MakeServer,
) -> None:
    async with make_server() as server:
        state = await imported(server, LIST)
    assert state["summary"] == 'Imported 2 books. Columns that were not used: Shop ("B12"), Lent to ("Eva")'
    results = state["results"]
    assert results["unusedColumns"] == [{"column": "Shop", "example": "B12"}, {"column": "Lent to", "example": "Eva"}]
    assert [(column["column"], column.get("holds")) for column in results["plan"]["columns"]] == [
        ("Title", "title"),
        ("Author", "author"),
        ("Start", "date_started"),
        ("Shop", None),
        ("Lent to", None),
    ]
    first, second = results["books"]
    assert first["plan"] == results["plan"]
    assert "plan" not in second


async def test_a_layout_that_was_guessed_is_told_with_or_without_gemini(make_server: MakeServer) -> None:
    async with make_server() as server:
        state = await imported(server, b"Dune,Frank Herbert\nEmma,Jane Austen\n", gemini="never")
    guess = "The file has no header, so its columns were guessed: column 1 for the title, column 2 for the author."
    assert guess.rstrip(".") in state["summary"]
    assert state["results"]["plan"]["warnings"] == [guess]


async def test_the_plan_stands_with_the_first_row_even_if_that_is_no_book(make_server: MakeServer) -> None:
    async with make_server() as server:
        state = await imported(server, b"Title,Author,Shop\n,,B12\nEmma,Jane Austen,\n")
    assert state["results"]["unusedColumns"] == [{"column": "Shop", "example": "B12"}]
    assert "plan" in state["results"]["errors"][0]


async def test_a_person_says_what_a_column_holds(make_server: MakeServer) -> None:
    columns = json.dumps({"Shop": "tags", "lent to": "notes", "3": "ignore"})
    async with make_server() as server:
        state = await imported(server, LIST, columns=columns)
    (dune, _) = state["results"]["books"]
    assert (dune["tags"], dune["notes"], dune.get("dateStarted")) == (["B12"], "Eva", None)
    assert state["results"]["unusedColumns"] == [{"column": "Start", "example": "2020-01-02"}]


async def test_a_column_that_the_file_does_not_have_ends_the_import_with_the_names_it_has(
    make_server: MakeServer,
) -> None:
    async with make_server() as server:
        state = await imported(server, LIST, columns='{"Score": "rating"}')
    assert state["status"] == "failed"
    assert 'no column "Score". Its columns are: "Title", "Author"' in state["error"]["message"]


async def test_a_meaning_that_does_not_exist_is_refused_with_the_request(make_server: MakeServer) -> None:
    async with make_server() as server:
        answer = await server.http.post(
            "/api/import/csv-gemini", files={"file": ("list.csv", LIST)}, data={"columns": '{"Shop": "colour"}'}
        )
    assert answer.status_code == 400
    assert "columns" in answer.text


async def test_rows_that_repeat_a_book_are_kept_if_asked_for(make_server: MakeServer) -> None:
    twice = b"Title,Author\nEmma,Jane Austen\nEmma,Jane Austen\n"
    async with make_server() as server:
        refused = await imported(server, twice)
        kept = await imported(server, twice, duplicates="keep")
    assert (refused["successCount"], refused["failureCount"]) == (1, 1)
    assert (kept["successCount"], kept["failureCount"]) == (2, 0)


async def test_another_read_of_an_edition_goes_to_the_row_that_had_it_first(make_server: MakeServer) -> None:
    rows = b"Title,Author,Date Read\nEmma,Jane Austen,2015-01-20\nDune,Frank Herbert,\nEmma,Jane Austen,2020-05-02\n"
    async with make_server() as server:
        state = await imported(server, rows)
    emma = state["results"]["books"][0]
    assert emma["datesRead"] == ["2015-01-20", "2020-05-02"]
    assert emma["warnings"] == ["Row 4 is the same book; its dates (2020-05-02) went here."]
    (error,) = state["results"]["errors"]
    assert (error["row"], error["earlierRow"]) == (4, 2)
