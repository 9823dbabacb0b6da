import asyncio
import datetime as dt
import io
import zipfile

import psutil
import pytest
from openpyxl import Workbook, load_workbook

from shelfwire.books.csv_import import containers, unpacking
from shelfwire.books.csv_import.book_file import BookFile
from shelfwire.books.csv_import.containers import unpack
from shelfwire.books.csv_import.imported_book import ImportedBook
from shelfwire.books.csv_import.problems import UnreadableCsv
from shelfwire.books.csv_import.unpacking import opened
from tests.books.csv_import.workbooks import Rows, ods, with_sheet, xlsx, zipped
from tests.live import until

HEADER = ["Title", "Author", "ISBN", "Date Read", "My Rating"]
CSV = b"Title,Author\nDune,Frank Herbert\n"
EMPTY_ROW = "<table:table-row{}><table:table-cell{}/></table:table-row>"


def books(data: bytes) -> list[ImportedBook]:
    file = BookFile(unpack(data).data)
    return [file.book(row) for row in file.rows()]


def problem(data: bytes) -> str:
    with pytest.raises(UnreadableCsv) as caught:
        unpack(data)
    return str(caught.value)


def test_cells_of_a_workbook_come_as_a_person_sees_them() -> None:
    [book] = books(
        xlsx(
            Books=[
                [*HEADER, "Pages", "Owned"],
                ["Dune", "Frank Herbert", 9780441013593, dt.date(2020, 1, 2), 4.5, 412, True],
            ]
        )
    )
    assert (book.isbn13, book.date_read, book.rating, book.pages) == ("9780441013593", "2020-01-02", 4.5, 412)
    assert (book.shelf, book.tags) == ("read", ("owned",))


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (9780441013593.0, "9780441013593"),
        (4.5, "4.5"),
        (1e300, "1e+300"),
        (dt.datetime(2020, 1, 2), "2020-01-02"),  # noqa: DTZ001 - a cell has no zone
        (dt.datetime(2020, 1, 2, 3, 4, 5), "2020-01-02 03:04:05"),  # noqa: DTZ001 - as above
        (dt.time(3, 4), "03:04:00"),
        (dt.timedelta(hours=26), "1 day, 2:00:00"),
        (False, "FALSE"),
    ],
)
def test_a_cell_has_the_text_that_a_spreadsheet_shows(cell: object, text: str) -> None:
    assert containers._text(cell) == text


def test_an_opendocument_sheet_is_read_like_any_other() -> None:
    [book] = books(ods([HEADER[:2], ["Émile & Sophie, a tale", 'Jean "J" Rousseau']]))
    assert (book.title, book.authors) == ("Émile & Sophie, a tale", ('Jean "J" Rousseau',))


def test_rows_keep_the_numbers_that_the_spreadsheet_shows() -> None:
    found = books(xlsx(Books=[[], [], HEADER, ["Dune", "line one\nline two"], [], ["Emma"]]))
    assert [(book.title, book.row) for book in found] == [("Dune", 4), ("Emma", 6)]


def test_thousands_of_blank_rows_in_a_sheet_are_no_items() -> None:
    last = EMPTY_ROW.format(' table:number-rows-repeated="1048000"', ' table:number-columns-repeated="16384"')
    assert [book.title for book in books(ods([HEADER[:2], ["Dune", "Frank Herbert"]], repeated=last))] == ["Dune"]
    blank = [[" ", None]] * 5000
    found = books(xlsx(Books=[HEADER[:2], ["Dune", "Herbert"], *blank, ["Emma", "Austen"], *blank]))
    assert [(book.title, book.row) for book in found] == [("Dune", 2), ("Emma", 5003)]


def test_of_several_sheets_the_one_that_is_a_list_is_taken_and_the_others_are_named() -> None:
    found = unpack(xlsx(Notes=[["Things to do"], ["Buy shelves"]], Books=[HEADER, ["Dune"]], Empty=[]))
    assert found.note.startswith('The list is the sheet "Books"; not read: "Notes". Save what else')
    assert [book.title for book in books(xlsx(Notes=[["To do"]], Books=[HEADER, ["Dune"]]))] == ["Dune"]
    assert unpack(xlsx(Books=[HEADER, ["Dune"]], Empty=[])).note == ""


def test_sheets_with_columns_of_the_same_names_are_one_list() -> None:
    sheets: dict[str, Rows] = {
        "2022": [["What I read"], HEADER, ["Dune", "Frank Herbert", None, dt.date(2022, 5, 1), 4]],
        "To read": [["Author", "Title", "Recommended by"], ["Jane Austen", "Emma", "Eva"]],
        "Favourites": [["Title", "Author", "My Rating"], ["It", "Stephen King", 5]],
        "Films": [["Title", "Director", "Year"], ["Alien", "Ridley Scott", 1979]],
    }
    data = xlsx(**sheets)
    found = books(data)
    assert [(book.row, book.title, book.authors, book.shelf, book.tags, book.rating) for book in found] == [
        (3, "Dune", ("Frank Herbert",), "read", (), 4),
        (1002, "Emma", ("Jane Austen",), "to-read", (), None),
        (2002, "It", ("Stephen King",), None, ("Favourites",), 5),
    ]
    assert unpack(data).note == (
        'Read as one list: "2022", "To read", "Favourites"; rows are numbered on, row 1 of "To read" is 1,001, '
        'row 1 of "Favourites" is 2,001; not read: "Films". '
        "Save what else is a list of books as a file of its own, and import that too"
    )


def test_the_year_that_names_a_sheet_is_when_its_books_were_read_where_no_column_says_it() -> None:
    head = ["Title", "Author", "Status"]
    found = books(
        xlsx(
            **{
                "2022": [head, ["Dune", "Frank Herbert", "read"], ["Emma", "Jane Austen", "to read"]],
                "2023": [head, ["It", "Stephen King", ""]],
                "Sheet3": [head, ["Holes", "Louis Sachar", "read"]],
            }
        )
    )
    assert [(book.title, book.date_read, book.tags) for book in found] == [
        ("Dune", "2022", ()),
        ("Emma", None, ()),
        ("It", "2023", ()),
        ("Holes", None, ()),
    ]


def test_sheets_of_douban_say_what_is_read_and_have_the_author_among_other_details() -> None:
    head = ["标题", "简介", "豆瓣评分", "链接", "创建时间", "我的评分", "标签", "评论"]
    dune = "[美] 弗兰克·赫伯特 / 潘振华 / 江苏凤凰文艺出版社 / 2017-2 / 55.00元"
    fortress = "钱锺书 / 人民文学出版社 / 1991-2 / 19.00"
    sheets: dict[str, Rows] = {
        "读过": [head, ["沙丘", dune, "8.6", "", "2021/03/05 10:11:12", 5, "科幻", "好看"]],
        "想读": [head, ["围城", fortress, "9.0", "", "2019/05/06 07:00:00", None, None, None]],
    }
    first, second = books(xlsx(**sheets))
    assert (first.shelf, first.authors, first.rating, first.year) == ("read", ("弗兰克·赫伯特",), 5, 2017)
    assert first.publisher == "江苏凤凰文艺出版社"
    assert first.warnings == ("Left out, as none of its authors: 潘振华.",)
    assert (second.row, second.shelf, second.authors) == (1002, "to-read", ("钱锺书",))


def test_a_cell_that_is_merged_with_those_below_it_counts_for_all_their_rows() -> None:
    workbook = Workbook()
    sheet = workbook.active
    assert sheet is not None
    rows: list[list[str | None]] = [
        ["Author", "Title"],
        ["Jane Austen", "Emma"],
        [None, "Persuasion"],
        [None, "Beowulf"],
    ]
    for number, row in enumerate(rows, 3):
        for column, cell in enumerate(row, 2):
            sheet.cell(number, column, cell)
    sheet.merge_cells("B4:B5")
    out = io.BytesIO()
    workbook.save(out)
    assert [(book.row, book.title, book.authors) for book in books(out.getvalue())] == [
        (4, "Emma", ("Jane Austen",)),
        (5, "Persuasion", ("Jane Austen",)),
        (6, "Beowulf", ()),
    ]


def test_a_hidden_sheet_is_named_if_something_is_in_it() -> None:
    workbook = load_workbook(io.BytesIO(xlsx(Books=[HEADER, ["Dune"]], Old=[HEADER, ["Emma"]], Blank=[])))
    workbook["Old"].sheet_state = workbook["Blank"].sheet_state = "hidden"
    out = io.BytesIO()
    workbook.save(out)
    assert 'not read: "Old" (hidden). Save' in unpack(out.getvalue()).note


def test_a_table_that_was_opened_wrongly_and_stands_in_one_column_is_still_a_table() -> None:
    assert [book.authors for book in books(xlsx(Books=[["Title;Author"], ["Dune;Frank Herbert"]]))] == [
        ("Frank Herbert",)
    ]


def test_commas_and_semicolons_in_cells_are_no_delimiters() -> None:
    [book] = books(xlsx(Books=[["Title;x", "Author"], ["A;B,C|D", "Ann Other"]]))
    assert (book.title, book.authors) == ("A;B,C|D", ("Ann Other",))


@pytest.mark.parametrize("name", ["library.csv", "my books/library.TSV", "export.txt", "export"])
def test_the_one_list_in_an_archive_is_taken(name: str) -> None:
    clutter = {"__MACOSX/._library.csv": b"\0\1", ".DS_Store": b"\0", "cover.jpg": b"\xff\xd8"}
    found = unpack(zipped({name: CSV, **clutter}))
    assert found == (CSV, f'The list is "{name}" in the archive')


def test_a_workbook_in_an_archive_is_taken_and_no_archive_within_it() -> None:
    assert [book.title for book in books(zipped({"b.xlsx": xlsx(Books=[HEADER, ["Dune"]])}))] == ["Dune"]
    for inner in ({"b.zip": zipped({"a.csv": CSV})}, {"b.csv": zipped({"a.csv": CSV})}):
        assert problem(zipped(inner)) == (
            "This ZIP archive holds another archive. Unpack both and import the list inside."
        )


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.csv": CSV, "b.csv": CSV}, 'This ZIP archive holds 2 lists: "a.csv", "b.csv". Unpack it and import them'),
        ({f"{n}.csv": CSV for n in range(7)}, '"4.csv" and 2 more. Unpack'),
        ({"a.jpg": b"x"}, 'This ZIP archive holds no list of books, but "a.jpg". Import a CSV file.'),
        ({}, "This ZIP archive is empty"),
        ({"a.csv": b""}, '"a.csv" in this ZIP archive is empty. Export'),
        ({"word/document.xml": b"<x/>"}, "This is a Word document, not a list of books."),
        ({"META-INF/container.xml": b"<x/>", "mimetype": b"application/epub+zip"}, "This is an e-book"),
    ],
)
def test_an_archive_without_one_list_says_what_is_in_it(files: dict[str, bytes], said: str) -> None:
    assert said in problem(zipped(files))


def test_names_in_an_archive_cannot_harm_a_terminal() -> None:
    assert "\x1b" not in problem(zipped({"\x1b[2J.csv": CSV, "b.csv": CSV}))


def test_a_damaged_or_locked_container_says_so() -> None:
    whole = zipped({"a.csv": CSV * 100})
    damaged = whole[:40] + b"\0" * 30 + whole[70:]
    assert "damaged" in problem(damaged)
    assert "damaged" in problem(whole[:60])
    assert "damaged" in problem(zipped({"a.xlsx": b"PK\x03\x04 and no more"}))
    broken = bytearray(xlsx(Books=[HEADER]))
    with zipfile.ZipFile(io.BytesIO(bytes(broken))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files["xl/workbook.xml"] = b"<workbook><sheets><sheet"
    assert "workbook is damaged" in problem(zipped(files))
    locked = bytearray(whole)
    for mark in (b"PK\x03\x04", b"PK\x01\x02"):
        locked[locked.find(mark) + (6 if mark[2] == 3 else 8)] |= 1
    assert "has a password" in problem(bytes(locked))


def test_what_unpacks_to_far_more_than_a_list_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "far more than a list" in problem(zipped({"a.csv": bytes(17 * 1024 * 1024)}))
    monkeypatch.setattr(containers, "MAX_UNPACKED_BYTES", 1000)
    assert "far more than a list" in problem(xlsx(Books=[HEADER]))
    assert "far more than a list" in problem(zipped({"a.xlsx": xlsx(Books=[HEADER])}))


def test_a_list_or_a_sheet_beyond_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_LIST_BYTES", 20)
    assert '"a.csv" is larger than' in problem(zipped({"a.csv": CSV}))
    assert 'The sheet "Books" is larger than' in problem(xlsx(Books=[HEADER, ["Dune"]]))


async def test_a_sheet_that_claims_more_cells_than_there_is_memory_ends_its_process_alone() -> None:
    far = '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    with pytest.raises(UnreadableCsv, match="takes too much to open"):
        await opened(with_sheet(far))


async def test_a_process_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "COMMAND", ("/bin/sleep", "600"))
    monkeypatch.setattr(unpacking, "PATIENCE", 0.05)
    with pytest.raises(UnreadableCsv, match="takes too much to open"):
        await opened(zipped({"a.csv": CSV}))


async def test_a_container_is_opened_in_a_process_of_its_own_and_any_other_file_stays_as_it_is() -> None:
    assert await opened(CSV) == (CSV, "")
    assert await opened(zipped({"a.csv": CSV})) == (CSV, 'The list is "a.csv" in the archive')
    with pytest.raises(UnreadableCsv, match="This ZIP archive is empty"):
        await opened(zipped({}))


async def test_whoever_stops_waiting_ends_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def asleep() -> bool:
        return "sleep" in {child.name() for child in psutil.Process().children()}

    monkeypatch.setattr(unpacking, "COMMAND", ("/bin/sleep", "600"))
    waiting = asyncio.create_task(opened(zipped({"a.csv": CSV})))
    await until(asleep)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not asleep()
