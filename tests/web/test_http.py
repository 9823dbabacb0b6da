import asyncio
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from shelfwire.books.codes import BookCode
from shelfwire.errors import Code, ErrorCode, ShelfwireError, known_codes
from shelfwire.protocol.tokens import Scope
from shelfwire.web.responses import problem
from tests.live import MakeServer, Server, bearer, grant_job

HEADER = b"Title,Author,ISBN13\n"


def assert_problem(response: Any, status: int, code: ErrorCode) -> dict[str, Any]:
    """Every error is a problem document that old decoders can read too, and says what to do."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert (document["status"], document["code"]) == (status, code)
    assert document["success"] is False
    assert document["error"] == {"code": code, "message": document["detail"]}
    assert document["userMessage"].endswith(".")
    assert isinstance(document["retryable"], bool)
    return document


async def test_an_import_is_accepted_with_all_a_client_needs_to_follow_it(make_server: MakeServer) -> None:
    async with make_server() as server:
        response = await server.http.post("/api/import/csv-gemini", files={"file": ("a.csv", HEADER + b"Emma,,\n")})
    document = response.json()
    data = document["data"]
    assert response.status_code == 202
    assert response.headers["location"] == f"/api/jobs/{data['jobId']}"
    assert (document["success"], data["success"]) == (True, True)
    assert document["metadata"] == document["meta"]
    assert document["meta"]["timestamp"].endswith("+00:00")
    assert len(data["token"]) == 43
    assert data["message"]
    assert {"self", "results", "events", "log", "progress", "cancel", "pause", "resume", "retry", "token"} == set(
        data["links"]
    )


async def test_the_state_of_a_finished_job_tells_everything(make_server: MakeServer) -> None:
    async with make_server() as server:
        job = await server.submit(HEADER + b"Emma,Jane Austen,\n,,\nEMMA,jane austen,\n,Nobody,\n", "mine.csv")
        state = await server.ended(job)
        response = await server.http.get(job["links"]["self"], headers=bearer(job["token"]))
    assert response.headers["etag"] == f'W/"{state["seq"]}"', "it is compressed"
    assert (state["status"], state["pipeline"], state["attempt"]) == ("complete", "csv_import", 1)
    assert (state["totalCount"], state["processedCount"], state["successCount"], state["failureCount"]) == (3, 3, 1, 2)
    assert [book["title"] for book in state["results"]["books"]] == ["Emma"]
    assert [(error["code"], error["row"]) for error in state["results"]["errors"]] == [
        (BookCode.DUPLICATE, 4),
        (BookCode.ROW_INVALID, 5),
    ]
    assert state["expiresAt"] == state["lastUpdateTime"] + 86_400_000
    assert isinstance(state["startTime"], int)
    assert "error" not in state


async def test_results_are_paged_in_the_order_of_the_file(make_server: MakeServer) -> None:
    rows = b"".join(b"Book %d,,\n" % number for number in range(5)) + b",A,\n"
    async with make_server() as server:
        job = await server.submit(HEADER + rows)
        await server.ended(job)
        indices, cursor = [], ""
        for _ in range(3):
            response = await server.http.get(f"{job['links']['results']}?limit=2{cursor}", headers=bearer(job["token"]))
            page = response.json()["data"]
            indices += [item["index"] for item in page["items"]]
            cursor = f"&cursor={page['next']}"
        failed = await server.http.get(f"{job['links']['results']}?status=failed", headers=bearer(job["token"]))
    assert indices == [0, 1, 2, 3, 4, 5]
    assert (page["next"], page["total"]) == (None, 6)
    (item,) = failed.json()["data"]["items"]
    assert (item["index"], item["ok"], item["error"]["code"]) == (5, False, BookCode.ROW_INVALID)
    assert failed.json()["data"]["total"] == 1


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=many", "cursor=-2", f"cursor={2**63}", "cursor=x", "status=odd"]
)
async def test_a_page_that_cannot_be_is_refused_by_name_and_the_token_is_not_repeated(
    make_server: MakeServer, query: str
) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        response = await server.http.get(
            f"{job['links']['results']}?{query}&token=secret", headers=bearer(job["token"])
        )
    document = assert_problem(response, 400, Code.INVALID_REQUEST)
    assert query.partition("=")[0] in document["detail"]
    assert "secret" not in response.text


async def test_a_running_job_is_canceled_and_an_ended_one_cannot_be(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job = await server.submit()
        async with server.socket(job) as socket:
            while '"job_started"' not in str(await socket.recv()):
                pass
            response = await server.http.post(job["links"]["cancel"], headers=bearer(job["token"]))
            assert response.json()["data"]["status"] == "canceling"
            async for _ in socket:
                pass
        state = await server.state(job)
        again = await server.http.post(job["links"]["cancel"], headers=bearer(job["token"]))
    assert (state["status"], state["error"]["code"]) == ("canceled", Code.JOB_CANCELED)
    document = assert_problem(again, 409, Code.JOB_STATE)
    assert document["details"] == {"status": "canceled"}


ROUTES = [("GET", ""), ("GET", "/results"), ("POST", "/cancel")]


@pytest.mark.parametrize(("method", "route"), ROUTES)
async def test_who_lacks_the_right_token_learns_nothing(make_server: MakeServer, method: str, route: str) -> None:
    async with make_server(gated=True) as server:
        job, other = await server.submit(), await server.submit()
        url = f"/api/jobs/{job['jobId']}{route}"
        refusals = [
            await server.http.request(method, url),
            await server.http.request(method, url, headers=bearer("wrong")),
            await server.http.request(method, url, headers={"Authorization": "Bearer"}),
            await server.http.request(method, url, headers={"Authorization": f"Basic {job['token']}"}),
            await server.http.request(method, url, headers=bearer(other["token"])),
            await server.http.request(method, f"/api/jobs/unknown{route}", headers=bearer(job["token"])),
        ]
    for response in refusals:
        assert_problem(response, 401, Code.UNAUTHORIZED)
        assert response.headers["www-authenticate"] == (
            'Bearer error="invalid_token", error_description="The token is missing or not valid for this job"'
        )
    assert len({response.text for response in refusals}) == 1
    told = [
        {name: value for name, value in response.headers.items() if name not in {"date", "x-request-id"}}
        for response in refusals
    ]
    assert told == told[:1] * len(told), "nor do the headers tell them apart"


async def test_an_expired_token_is_told_apart_for_who_holds_it(make_server: MakeServer) -> None:
    async with make_server(gated=True) as server:
        job_id = await grant_job(server, "t" * 43, expires_at=1)
        response = await server.http.get(f"/api/jobs/{job_id}", headers=bearer("t" * 43))
    assert assert_problem(response, 401, Code.TOKEN_EXPIRED)["detail"] == "Token expired"
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token", error_description="Token expired"'


@pytest.mark.parametrize(("method", "route"), ROUTES)
async def test_a_token_without_the_scope_is_forbidden(make_server: MakeServer, method: str, route: str) -> None:
    needed = {"": Scope.WATCH, "/results": Scope.RESULTS, "/cancel": Scope.CONTROL}[route]
    async with make_server(gated=True) as server:
        job_id = await grant_job(server, "t" * 43, scopes=frozenset(Scope) - {needed})
        response = await server.http.request(method, f"/api/jobs/{job_id}{route}", headers=bearer("t" * 43))
    assert needed in assert_problem(response, 403, Code.FORBIDDEN)["detail"]


async def test_an_empty_file_is_refused_at_the_door(make_server: MakeServer) -> None:
    async with make_server() as server:
        response = await server.http.post("/api/import/csv-gemini", files={"file": ("a.csv", b"")})
    assert "empty" in assert_problem(response, 400, Code.INVALID_REQUEST)["userMessage"]


async def test_a_file_of_50_mb_is_refused_with_the_limit(make_server: MakeServer) -> None:
    async with make_server() as server:
        response = await server.http.post("/api/import/csv-gemini", files={"file": ("a.csv", b"x" * 50_000_000)})
        document = assert_problem(response, 413, Code.FILE_TOO_LARGE)
        assert await stored_parts(server) == 0
    assert "10 MiB" in document["userMessage"]
    assert document["details"] == {"limit": 10 * 1024 * 1024}


async def test_a_file_just_within_the_limit_is_taken_and_one_byte_more_is_not(make_server: MakeServer) -> None:
    async with make_server(gated=True, max_upload=3_000_000) as server:
        await server.submit(b"x" * 3_000_000)
        response = await server.http.post("/api/import/csv-gemini", files={"file": ("a.csv", b"x" * 3_000_001)})
    assert_problem(response, 413, Code.FILE_TOO_LARGE)


async def test_three_gigabytes_are_refused_before_they_are_sent(make_server: MakeServer) -> None:
    async with make_server() as server:
        head = [
            "POST /api/import/csv-gemini HTTP/1.1",
            "Host: localhost",
            "Content-Type: multipart/form-data; boundary=b",
            "Content-Length: 3000000000",
            "",
            "",
        ]
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        writer.write("\r\n".join(head).encode())
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == Code.FILE_TOO_LARGE


async def test_a_client_that_stops_half_way_is_told_and_leaves_nothing(make_server: MakeServer) -> None:
    async with make_server(upload_timeout=0.05) as server:
        writer, reader = await half_an_upload(server)
        answer = await reader.read()
        writer.close()
        assert await stored_parts(server) == 0
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert "send the file again" in json.loads(answer.partition(b"\r\n\r\n")[2])["userMessage"]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"upload_timeout": 0.2, "upload_rate": 1_000_000}, "Less than 1000000 bytes a second"),
        ({"upload_timeout": 10, "upload_deadline": 0.2}, "The whole upload took longer than 0.2 s"),
    ],
)
async def test_an_upload_that_drips_is_given_up(make_server: MakeServer, options: dict[str, Any], why: str) -> None:
    async with make_server(**options) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        request = "POST /api/import/csv-gemini HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n"
        writer.write(f"{request}Content-Type: multipart/form-data; boundary=b\r\n\r\n".encode())
        # Head and body are read in one go: a byte that crosses the answer makes the system reset the connection.
        answer = asyncio.create_task(answer_from(reader))
        async with asyncio.timeout(60):
            while not answer.done():
                writer.write(b"-")
                await asyncio.wait({answer}, timeout=0.02)
        writer.close()
    head, body = answer.result()
    assert head.startswith("HTTP/1.1 400 ")
    assert why in json.loads(body)["detail"]


async def answer_from(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = head.lower().partition("content-length:")[2].splitlines()[0]
    return head, await reader.readexactly(int(length))


async def test_a_client_that_hangs_up_half_way_leaves_nothing_and_is_no_defect(make_server: MakeServer) -> None:
    async with make_server() as server:
        writer, _ = await half_an_upload(server)
        await parts_become(server, lambda count: count > 0)
        writer.transport.abort()
        await parts_become(server, lambda count: count == 0)
        assert (await server.http.get("/health/ready")).status_code == 200
        assert Code.INTERNAL not in (await server.http.get("/metrics")).text


async def test_who_begins_to_ask_for_a_token_and_stops_is_not_waited_for(make_server: MakeServer) -> None:
    async with make_server(gated=True, upload_timeout=0.05) as server:
        job = await server.submit()
        head = [
            f"POST /api/jobs/{job['jobId']}/token HTTP/1.1",
            "Host: localhost",
            f"Authorization: Bearer {job['token']}",
            "Content-Length: 30",
            "",
            "{",
        ]
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
        writer.write("\r\n".join(head).encode())
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")


async def half_an_upload(server: Server) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1]))
    head = (
        "POST /api/import/csv-gemini HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    )
    writer.write(head.encode() + b"x" * 2_500_000)
    await writer.drain()
    return writer, reader


async def parts_become(server: Server, wanted: Callable[[int], bool]) -> None:
    """Look into the store until it holds as many parts as wanted."""
    async with asyncio.timeout(60):
        for _ in iter(int, 1):
            if wanted(await stored_parts(server)):
                return


async def stored_parts(server: Server) -> int:
    """How many parts of uploads are in the store."""
    store: Any = server.app.service._store
    count = await store._read(lambda connection: connection.exec_driver_sql("SELECT count(*) FROM input_part").scalar())
    assert isinstance(count, int)
    return count


@pytest.mark.parametrize(
    ("data", "code", "words"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, BookCode.CSV_UNREADABLE, "PNG"),
        (HEADER, BookCode.CSV_NO_BOOKS, "no books"),
        (b"\n \n\n", BookCode.CSV_NO_BOOKS, "no books"),
        (
            b"Title\n" + b"".join(b"Emma %d\n" % n for n in range(100_001)),
            BookCode.CSV_UNREADABLE,
            "100,000 rows",
        ),
    ],
    ids=["a PNG called .csv", "a header only", "blank lines", "too many rows"],
)
async def test_a_file_that_is_no_list_of_books_fails_as_a_job_that_says_why(
    make_server: MakeServer, data: bytes, code: ErrorCode, words: str
) -> None:
    async with make_server() as server:
        state = await server.ended(await server.submit(data))
    assert (state["status"], state["error"]["code"]) == ("failed", code)
    assert words in state["error"]["userMessage"]
    assert state["error"]["retryable"] is False


async def test_a_nul_in_a_cell_is_left_out_and_the_book_kept(make_server: MakeServer) -> None:
    async with make_server() as server:
        state = await server.ended(await server.submit(HEADER + b"Du\0ne,Frank Herbert,\nEmma,Jane Austen,\n"))
    assert [book["title"] for book in state["results"]["books"]] == ["Dune", "Emma"]


async def test_a_cell_of_a_megabyte_fails_its_row_as_a_title_and_is_cut_as_a_review(make_server: MakeServer) -> None:
    mega = b"x" * 1_000_000
    data = b"Title,Author,My Review\n" + mega + b",A,\nEmma,Jane Austen," + mega + b"\nDune,Frank Herbert,\n"
    async with make_server() as server:
        job = await server.submit(data)
        await server.ended(job)
        response = await server.http.get(job["links"]["results"], headers=bearer(job["token"]))
    long_title, long_review, plain = response.json()["data"]["items"]
    assert long_title["error"]["code"] == BookCode.ROW_INVALID
    assert "2,000" in long_title["error"]["userMessage"]
    assert len(long_review["result"]["review"]) <= 100_000
    assert long_review["result"]["warnings"]
    assert plain["result"]["title"] == "Dune"


@pytest.mark.parametrize(
    ("request_", "status", "code", "words"),
    [
        ({"content": b"Title\nEmma\n"}, 415, Code.UNSUPPORTED_MEDIA, "multipart/form-data"),
        ({"json": {"file": "x"}}, 415, Code.UNSUPPORTED_MEDIA, "multipart/form-data"),
        ({"files": {"other": ("a.csv", b"x")}}, 400, Code.INVALID_REQUEST, "no field 'file'"),
        (
            {"content": b"no form", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
            400,
            Code.INVALID_REQUEST,
            "form",
        ),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 415, Code.UNSUPPORTED_MEDIA, "field"),
        (
            {"content": b"--b\r\n" + b"A: b\r\n" * 50, "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
            400,
            Code.INVALID_REQUEST,
            "form",
        ),
    ],
    ids=["raw", "json", "another field", "no form at all", "no boundary", "too many headers"],
)
async def test_what_is_no_upload_is_refused_with_what_to_send(
    make_server: MakeServer, request_: dict[str, Any], status: int, code: ErrorCode, words: str
) -> None:
    async with make_server() as server:
        response = await server.http.post("/api/import/csv-gemini", **request_)
    assert words in assert_problem(response, status, code)["detail"]


async def test_other_fields_of_the_form_are_passed_over(make_server: MakeServer) -> None:
    async with make_server() as server:
        response = await server.http.post(
            "/api/import/csv-gemini",
            data={"note": "mine"},
            files=[("extra", ("x", b"not this")), ("file", ("a.csv", b"Title\nEmma\n")), ("extra", ("y", b"x"))],
        )
        state = await server.ended(response.json()["data"])
    assert [book["title"] for book in state["results"]["books"]] == ["Emma"]


async def test_a_second_file_in_one_form_field_is_refused_and_not_dropped(make_server: MakeServer) -> None:
    async with make_server() as server:
        files = [("file", (name, b"Title\nEmma\n")) for name in ("a.csv", "b.csv")]
        for path in ("/api/import/csv-gemini", "/api/pipelines/csv_import/jobs"):
            refused = await server.http.post(path, files=files)
            assert_problem(refused, 400, Code.INVALID_REQUEST)
            assert "'file' came more than once" in refused.json()["detail"]


async def test_the_head_of_what_load_balancers_ask_for_is_answered(make_server: MakeServer) -> None:
    async with make_server() as server:
        for path in ("/health/live", "/health/ready", "/metrics"):
            answer = await server.http.head(path)
            assert (answer.status_code, answer.content) == (200, b"")
            assert "HEAD" in (await server.http.options(path)).headers["allow"]


async def test_an_address_or_method_that_does_not_exist_is_a_problem_document(make_server: MakeServer) -> None:
    async with make_server() as server:
        assert_problem(await server.http.get("/nowhere"), 404, Code.NOT_FOUND)
        response = await server.http.get("/api/import/csv-gemini")
        assert "POST" in response.headers["allow"]
        assert_problem(response, 405, Code.METHOD_NOT_ALLOWED)


async def test_a_store_that_fails_is_told_as_such_and_to_try_again(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: object, **__: object) -> None:
        raise ShelfwireError(Code.STORAGE_UNAVAILABLE)

    async with make_server() as server:
        assert (await server.http.get("/health/ready")).json() == {"status": "ok"}
        monkeypatch.setattr(server.app.service._store, "job", failing)
        response = await server.http.get("/health/ready")
        assert (await server.http.get("/health/live")).status_code == 200
    assert_problem(response, 503, Code.STORAGE_UNAVAILABLE)
    assert int(response.headers["retry-after"]) > 0


async def test_a_server_whose_worker_died_is_not_ready(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with make_server() as server:
        monkeypatch.setattr(server.app.service.readiness, "_failing", lambda: ["broken"])
        assert_problem(await server.http.get("/health/ready"), 503, Code.STORAGE_UNAVAILABLE)


async def test_a_defect_is_logged_and_answered_without_its_details(
    make_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise KeyError("inner secrets")

    async with make_server() as server:
        monkeypatch.setattr(server.app.service._store, "grant", broken)
        response = await server.http.get("/api/jobs/x", headers=bearer("y"))
    assert_problem(response, 500, Code.INTERNAL)
    assert "secrets" not in response.text


async def test_every_code_of_the_table_makes_a_problem_document() -> None:
    codes = set(known_codes())
    assert codes >= {*Code, *BookCode}
    for code in codes:
        document = msgspec.json.decode(msgspec.json.encode(problem(ShelfwireError(code))))
        assert document["code"] == code
        assert 400 <= document["status"] < 600
        assert document["userMessage"].endswith(".")


@pytest.mark.parametrize("letter", ["書", '"'], ids=["three bytes", "escaped"])
async def test_a_review_that_takes_too_much_room_is_cut_and_its_book_kept_with_a_warning(
    make_server: MakeServer, letter: str
) -> None:
    review = letter * 88_000
    async with make_server() as server:
        job = await server.submit(
            f'Title,My Review,Private Notes\nDune,"{review}{review}","{review}{review}"\n'.encode()
        )
        state = await server.ended(job)
        (item,) = (await server.ask("GET", job, "/results")).json()["data"]["items"]
    assert (state["successCount"], state["failureCount"]) == (1, 0)
    assert item["result"]["review"].startswith(letter * 30_000)
    assert any("takes more room than can be kept" in warning for warning in item["result"]["warnings"])
