"""What a person sees of a job."""

import json
from collections.abc import Callable
from io import StringIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from shelfwire.cli.bar import LISTED, Bar
from shelfwire.cli.jobs_file import KnownJob
from shelfwire.cli.listing import Known, print_lines, print_table, to_json
from shelfwire.cli.progress_summary import Ending, Failure, ProgressSummary, clean, failure_of
from shelfwire.cli.show import JsonLines, Lines
from shelfwire.plugins import Labels
from shelfwire.protocol.messages import (
    JobComplete,
    JobError,
    JobProgress,
    JobStarted,
    Message,
    Metadata,
    Payload,
)

IMPORT = Labels("Importing", "import", "row", "imported", "Import the file again")

ROWS = 50_000


def message(payload: Payload, at: int = 0) -> Message:
    return Message(job_id="j", pipeline="csv_import", timestamp=at, payload=payload, seq=at + 1)


def progress(done: int, at: int, title: str = "Dune", eta: int | None = None) -> Message:
    return message(JobProgress(processed_count=done, total_count=ROWS, current_title=title, eta_seconds=eta), at)


def known_entry(job_id: str, *, server: str | None = None, data: str | None = None) -> KnownJob:
    return KnownJob(
        pipeline="csv_import", job_id=job_id, token="secret", file="books.csv", created=0, server=server, data=data
    )


STARTED = message(JobStarted(total_count=ROWS, metadata=Metadata(file_name="books.csv")))
COMPLETE = message(JobComplete(success_count=ROWS, failure_count=0, duration=3, results={}), 3000)


def ending(failures: int = 0, status: str = "complete", summary: str = "Added books") -> Ending:
    listed = [Failure(number + 2, f"Title {number}", "E_DUPLICATE", f"Reason {number}") for number in range(failures)]
    return Ending(
        job_id="aa11bb22-0",
        file="books.csv",
        status=status,
        success_count=ROWS - failures,
        failure_count=failures,
        duration=3,
        summary=summary,
        code=None,
        failures=listed,
    )


def seen(width: int, show: Callable[[Bar], None]) -> str:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=width, color_system=None, legacy_windows=False)
    show(Bar(console, "books.csv", "aa11bb22", IMPORT))
    return screen.getvalue()


def frame(width: int, *messages: Message) -> list[str]:
    """The bar and the line below it, as they stand after these messages."""
    screen = StringIO()
    console = Console(file=screen, width=width)
    bar = Bar(console, "books.csv", "aa11bb22", IMPORT)
    for one in messages:
        bar.message(one)
    console.print(bar._render())
    return screen.getvalue().splitlines()


@pytest.mark.parametrize("width", [20, 40, 59, 80, 120, 300])
@pytest.mark.parametrize(
    "title", ["Dune", "吾輩は猫である、名前はまだ無い。" * 9, "x" * 200, "a\x1b[31m\r\nb", "[bold]/"]
)
def test_the_bar_fits_the_terminal_whatever_the_title(width: int, title: str) -> None:
    lines = frame(width, STARTED, progress(12_345, 0, title), progress(22_345, 1000, title, eta=3))
    assert len(lines) == 2
    assert max(cell_len(line) for line in lines) <= width
    assert "\x1b" not in "".join(lines)


def test_the_bar_tells_share_count_rate_time_left_and_title() -> None:
    bar, title = frame(100, STARTED, progress(10_000, 0), progress(22_345, 1000, "Dune", eta=62))
    assert [word for word in (" 45%", "22,345/50,000", "12,345 rows/s", "1:02 left") if word not in bar] == []
    assert title.strip() == "Dune"


def test_a_narrow_terminal_keeps_share_and_count() -> None:
    bar = frame(40, STARTED, progress(10_000, 0), progress(22_345, 1000, eta=62))[0]
    assert bar.rstrip().endswith("45% 22,345/50,000")


def test_a_waiting_job_says_so() -> None:
    lines = frame(60, message(JobProgress(processed_count=0, user_message="Waiting to start…")))
    assert "Waiting to start…" in lines[1]


def test_a_lost_connection_is_shown_until_news_come() -> None:
    def lost(bar: Bar) -> None:
        with bar:
            bar.message(STARTED)
            bar.waiting(3.4)

    assert "Connection lost, trying again in 3 s" in seen(80, lost)


def test_the_bar_ends_full_and_leaves_the_cursor_visible() -> None:
    def whole(bar: Bar) -> None:
        with bar:
            for one in (STARTED, progress(20_000, 1000), COMPLETE):
                bar.message(one)
        bar.end(ending())

    screen = seen(80, whole)
    assert "100% 50,000/50,000" in screen
    assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l")
    assert "50,000 rows in 3 s: 50,000 imported, none failed" in screen


def test_failures_on_a_terminal_are_a_table() -> None:
    screen = seen(60, lambda bar: bar.end(ending(3)))
    assert "3 failed" in screen
    rows = [line.split() for line in screen.splitlines() if "Reason" in line]
    assert rows == [[str(n + 2), "Title", str(n), "Reason", str(n)] for n in range(3)]


def test_on_a_narrow_terminal_failures_and_jobs_are_lines_with_nothing_left_out() -> None:
    words = seen(12, lambda bar: bar.end(ending(1))).split()
    assert [word for word in ("2:", "Title", "0:", "Reason") if word not in words] == []
    screen = StringIO()
    print_table(list(STANDINGS), Console(file=screen, width=30, force_terminal=True, color_system=None))
    shown = screen.getvalue().split()
    said = [word for standing in STANDINGS.values() for word in standing.split()]
    assert [word for word in (*said, "books.csv", "/books") if word not in shown] == []


def test_a_failure_of_a_retry_has_the_place_it_had_in_the_original_input() -> None:
    error = {"code": "E_IMAGE_UNREADABLE", "userMessage": "Take it again."}
    item = {"index": 0, "ok": False, "title": "Photo 3", "error": error}
    assert failure_of(item).row == 1
    assert failure_of({**item, "sourceIndex": 2}).row == 3
    assert failure_of({**item, "sourceIndex": 2, "error": {**error, "row": 7}}).row == 7


def test_very_many_failures_are_cut_and_the_rest_is_pointed_to() -> None:
    screen = seen(80, lambda bar: bar.end(ending(LISTED + 5)))
    assert f"Reason {LISTED - 1}" in screen
    assert f"Reason {LISTED}" not in screen
    assert "All 205: shelfwire watch aa11bb22 --json" in screen


def test_a_failed_job_says_why() -> None:
    screen = seen(80, lambda bar: bar.end(ending(status="failed", summary="This is a PNG picture.")))
    assert "Import failed: This is a PNG picture." in screen


def test_in_a_pipe_a_line_comes_for_each_tenth() -> None:
    stream = StringIO()
    lines = Lines(stream, "books.csv", IMPORT)
    for one in (STARTED, *(progress(done, done // 10) for done in range(500, ROWS, 500)), COMPLETE):
        lines.message(one)
    said = stream.getvalue().splitlines()
    assert said[0] == "Importing books.csv: 50,000 rows"
    assert [line[:4] for line in said[1:]] == [f"{share:3}%" for share in range(10, 100, 10)]


def test_in_a_pipe_a_slow_job_still_gives_signs_of_life() -> None:
    stream = StringIO()
    lines = Lines(stream, "books.csv", IMPORT)
    for one in (STARTED, *(progress(second, second * 1000) for second in range(1, 31))):
        lines.message(one)
    assert len(stream.getvalue().splitlines()) == 1 + 6


def test_in_a_pipe_every_failure_is_a_line() -> None:
    stream = StringIO()
    Lines(stream, "books.csv", IMPORT).end(ending(LISTED + 100))
    assert [line for line in stream.getvalue().splitlines() if line.startswith("row ")][-1] == (
        "row 301: Title 299: Reason 299"
    )


def test_json_is_each_message_and_then_the_outcome() -> None:
    stream = StringIO()
    lines = JsonLines(stream, IMPORT)
    for one in (STARTED, progress(1, 1), COMPLETE):
        lines.message(one)
    lines.end(ending(2))
    said = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["type"] for line in said] == ["job_started", "job_progress", "job_complete", "outcome"]
    assert said[-1]["failures"][1] == {"row": 3, "title": "Title 1", "code": "E_DUPLICATE", "reason": "Reason 1"}


def test_the_rate_is_that_of_the_last_seconds() -> None:
    summary = ProgressSummary(IMPORT)
    for second in range(20):
        summary.take(progress(1000 * second if second < 10 else 9000 + (second - 9) * 10, second * 1000))
    assert summary.rate == 10


def test_a_job_that_is_resumed_does_not_count_what_was_done_before() -> None:
    summary = ProgressSummary(IMPORT)
    summary.take(progress(40_000, 0))
    assert summary.rate is None
    summary.take(progress(41_000, 1000))
    assert summary.rate == 1000


def test_an_error_leaves_the_counts_as_they_were() -> None:
    summary = ProgressSummary(IMPORT)
    summary.take(progress(40_000, 0))
    summary.take(message(JobError(code="E_JOB_CANCELED", message="m", user_message="u", retryable=True)))
    assert summary.position == "40,000 of 50,000 rows"


STANDINGS = {
    Known(known_entry("aa11", data="/books"), "waiting"): "waiting: shelfwire watch aa11 continues it",
    Known(known_entry("bb22", server="http://127.0.0.1:1"), "unreachable"): "its server does not answer",
    Known(known_entry("cc33", data="/books"), "expired"): "expired; import the file again",
    Known(known_entry("dd44", data="/books"), "running", 1000, 20, 5): "running, 25 of 1,000 rows",
    Known(known_entry("ee55", data="/books"), "complete", 1000, 995, 5): "complete, 5 of 1,000 failed",
    Known(known_entry("ff66", data="/books"), "complete", 1000, 1000, 0): "complete, 1,000 rows",
    Known(known_entry("0077", data="/books"), "queued"): "queued",
}


def test_a_list_of_jobs_says_where_each_stands_and_what_to_do() -> None:
    stream, screen = StringIO(), StringIO()
    print_lines(list(STANDINGS), stream)
    assert [line.split("\t")[-1] for line in stream.getvalue().splitlines()] == list(STANDINGS.values())
    print_table(list(STANDINGS), Console(file=screen, width=120, force_terminal=True, color_system=None))
    assert [standing for standing in STANDINGS.values() if standing not in screen.getvalue()] == []
    assert "secret" not in stream.getvalue() + screen.getvalue() + to_json(list(STANDINGS))


@pytest.mark.parametrize("width", [30, 60, 80, 120])
def test_a_place_that_jobs_share_is_said_once(width: int) -> None:
    screen = StringIO()
    jobs = [job for job in STANDINGS if job.entry.data]
    print_table(jobs, Console(file=screen, width=width, force_terminal=True, color_system=None))
    assert screen.getvalue().count("/books") == 1
    assert max(map(len, screen.getvalue().splitlines())) <= width


def test_jobs_of_several_places_stand_below_each_other_where_there_is_no_room_for_a_column() -> None:
    screen = StringIO()
    print_table(list(STANDINGS), Console(file=screen, width=60, force_terminal=True, color_system=None))
    lines = screen.getvalue().splitlines()
    assert [line for line in lines if line.startswith(("In ", "At "))] == ["In /books", "At http://127.0.0.1:1"]


@pytest.mark.parametrize(
    ("done", "pace"),
    [(1, "0.2 rows/s"), (5, "1.0 rows/s"), (47, "9.4 rows/s"), (60, "12 rows/s"), (9000, "1,800 rows/s")],
)
def test_a_slow_pace_has_a_decimal_so_that_it_is_never_one_of_several(done: int, pace: str) -> None:
    summary = ProgressSummary(IMPORT)
    summary.take(progress(0, 0))
    assert summary.pace == ""
    summary.take(progress(done, 5000))
    assert summary.pace == pace


def test_failures_that_can_be_corrected_come_with_the_command_for_it() -> None:
    screen = StringIO()
    console = Console(file=screen, force_terminal=True, width=100, color_system=None)
    Bar(console, "books.csv", "aa11bb22", IMPORT._replace(original=True)).end(ending(1))
    assert "Correct them: shelfwire results aa11bb22 --failed --original --output failed.csv" in screen.getvalue()
    assert "Correct them" not in seen(100, lambda bar: bar.end(ending(1)))


@pytest.mark.parametrize(
    ("text", "shown"), [("a\x1b[31mb", "a [31mb"), ("a\r\n\tb", "a b"), ("\u202eevil", "evil"), ("猫　犬", "猫　犬")]
)
def test_a_text_from_a_file_cannot_steer_the_terminal(text: str, shown: str) -> None:
    assert clean(text) == shown
