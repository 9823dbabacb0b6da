"""What is found for what people type, and what is not."""

import sqlite3
import string
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shelfwire.books.catalogue import SURE, Catalogue, CatalogueError
from shelfwire.books.catalogue.hits import score

from .conftest import Of, built
from .dumps import author, edition, work, write

SHELF = [
    ("Pride and Prejudice", "Jane Austen"),
    ("Emma", "Jane Austen"),
    ("Middlemarch", "George Eliot"),
    ("Moby-Dick; or, The Whale", "Herman Melville"),
    ("A Russian Journal", "John Steinbeck"),
    ("Foundation", "Isaac Asimov"),
    ("Foundation and Empire", "Isaac Asimov"),
    ("L'Étranger", "Albert Camus"),
    ("Отцы и дети", "Иван Тургенев"),
    ("The Brothers Karamazov", "Фёдор Достоевский"),
    ("Smilla's Sense of Snow", "Peter Høeg"),
    ("Poems", "Emily Dickinson"),
    ("Poems", "Wilfred Owen"),
    ("The House of the Spirits", "Isabel Allende"),
    ("1984", "George Orwell"),
    ("C++ in a Nutshell", "Ray Lischner"),
    ("The Lord of the Rings: The Two Towers", "J. R. R. Tolkien"),
    ("红楼梦", "曹雪芹"),
    ("The House", "Nobody Known"),
]


def lines_of(shelf: list[tuple[str, str]]) -> list[str]:
    authors = {name: number for number, name in enumerate(dict.fromkeys(name for _, name in shelf), 1)}
    return [
        *(author(number, name) for name, number in authors.items()),
        *(work(number, title, [authors[name]]) for number, (title, name) in enumerate(shelf, 1)),
    ]


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Catalogue:
    folder = tmp_path_factory.mktemp("shelf")
    built(folder / "books", write(folder / "dump.txt", *lines_of(SHELF)))
    return Catalogue(folder / "books")


@pytest.mark.parametrize(
    ("title", "name", "wanted"),
    [
        ("Pride and Prejudice", "Jane Austen", "Pride and Prejudice"),
        ("pride & prejudice", "AUSTEN", "Pride and Prejudice"),
        ("Prde and Prejudise", "Jane Austin", "Pride and Prejudice"),
        ("prideandprejudice", "janeausten", "Pride and Prejudice"),
        ("Pri de and Pre judice", "Jane Austen", "Pride and Prejudice"),
        ("Midlemarhc", "G. Eliot", "Middlemarch"),
        ("Moby Dick", "Melville", "Moby-Dick; or, The Whale"),
        ("L Etranger", "Camus, Albert", "L'Étranger"),
        ("Otcy i deti", "Ivan Turgenev", "Отцы и дети"),
        ("Brothers Karamazov", "Fyodor Dostoevskiy", "The Brothers Karamazov"),
        ("Smillas sense of snow", "Peter Hoeg", "Smilla's Sense of Snow"),
        ("The Two Towers", "Tolkien", "The Lord of the Rings: The Two Towers"),
        ("1984", "Orwell", "1984"),
        ("House", "Nobody Known", "The House"),
        ("红楼梦", "曹雪芹", "红楼梦"),
    ],
)
def test_the_book_is_found_and_sure_whatever_way_its_title_and_author_are_written(
    shelf: Catalogue, title: str, name: str, wanted: str
) -> None:
    found = shelf.search(title, name)
    assert found[0].book.title == wanted
    assert found[0].is_sure, found[0].score


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("The Russia House", "John le Carré"),
        ("Emma", "Charlotte Brontë"),
        ("Persuasion", "Jane Austen"),
        ("Second Foundation", "Isaac Asimov"),
        ("Poems", "Walt Whitman"),
        ("Emma", "Jane Austen-Leigh Somebody Quite Different"),
        ("The House of the Dead", "Fyodor Dostoevsky"),
        ("1985", "George Orwell"),
    ],
)
def test_another_book_is_never_sure(shelf: Catalogue, title: str, name: str) -> None:
    assert [found for found in shelf.search(title, name) if found.is_sure] == []


def test_a_title_alone_is_never_sure_and_the_very_same_comes_first(shelf: Catalogue) -> None:
    found = shelf.search("Foundation")
    assert [one.book.title for one in found] == ["Foundation", "Foundation and Empire"]
    assert SURE > found[0].score > found[1].score


def test_the_author_tells_books_of_one_title_apart(shelf: Catalogue) -> None:
    assert shelf.search("Poems", "Owen")[0].book.authors == ("Wilfred Owen",)
    assert {found.book.authors[0] for found in shelf.search("poems")} == {"Emily Dickinson", "Wilfred Owen"}


@pytest.mark.parametrize("text", ["jane austen emma", "Emma Jane Austen", "emma, by jane austn", "EMMA/JANEAUSTEN"])
def test_title_and_author_may_be_one_text(shelf: Catalogue, text: str) -> None:
    found = shelf.find(text)
    assert (found[0].book.title, found[0].is_sure) == ("Emma", True)


@pytest.mark.parametrize(
    "title", ["", "   ", "???", "'", '"', "the", "\x00", "zzzzzzzzzz", "NEAR(", "a" * 10_000, "* OR -"]
)
def test_what_no_book_is_called_is_no_error(shelf: Catalogue, title: str) -> None:
    assert [found for found in shelf.search(title) if found.score > 0.7] == []
    assert not shelf.find(title) or shelf.find(title)[0].score < 0.7
    assert not shelf.search(title, title) or not shelf.search(title, title)[0].is_sure


def test_isbns_are_found_in_any_form_and_others_are_left_out(of: Of) -> None:
    catalogue = of(edition(1, "Emma", isbn_10=["0141439580"]), edition(2, "Élan", isbn_13=["979-10-90636-07-1"]))
    found = catalogue.by_isbn(["ISBN 0-14-143958-0", "9781 4", "", "9791090636071", "9780306406157", "9780141439587"])
    assert {isbn: entry.title for isbn, entry in found.items()} == {"9780141439587": "Emma", "9791090636071": "Élan"}
    assert catalogue.by_isbn([]) == {}


def test_many_threads_ask_at_once_and_get_what_one_would(shelf: Catalogue) -> None:
    wanted = [shelf.search(title, name) for title, name in SHELF]
    wrong: list[object] = []
    together = threading.Barrier(8)

    def ask() -> None:
        together.wait()
        for _ in range(5):
            wrong.extend(one for one, (t, n) in zip(wanted, SHELF, strict=True) if shelf.search(t, n) != one)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_closed_catalogue_says_so(of: Of) -> None:
    catalogue = of(edition(1, "Emma"))
    catalogue.close()
    catalogue.close()
    with pytest.raises(CatalogueError, match="has been closed"):
        catalogue.search("Emma")


def test_a_catalogue_can_be_read_where_nothing_can_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    built(folder / "books", write(tmp_path / "dump.txt", edition(1, "Emma")))
    before = sorted(folder.iterdir())
    (folder / "books").chmod(0o400)
    folder.chmod(0o500)
    try:
        with Catalogue(folder / "books") as catalogue:
            assert catalogue.search("Emma")
            assert sorted(folder.iterdir()) == before
    finally:
        folder.chmod(0o700)


def test_a_wrong_old_or_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"There is no catalogue .*gone\. Make one: shelfwire catalogue build"):
        Catalogue(tmp_path / "gone")
    with pytest.raises(CatalogueError, match=r"is a folder, not a catalogue"):
        Catalogue(tmp_path)
    for name, data in (("text", b"Title,Author\nEmma,Jane Austen\n" * 99), ("empty", b"")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CatalogueError, match=rf"{name} is not a catalogue\. Make one"):
            Catalogue(tmp_path / name)
    built(tmp_path / "books", write(tmp_path / "dump.txt", edition(1, "Emma")))
    for number, age in ((0, "an older"), (99, "a newer")):
        db = sqlite3.connect(tmp_path / "books")
        db.execute(f"PRAGMA user_version = {number}")
        db.close()
        with pytest.raises(CatalogueError, match=f"built by {age} version of shelfwire .* Build it again"):
            Catalogue(tmp_path / "books")


def test_a_catalogue_that_is_damaged_inside_says_so_when_it_is_asked(tmp_path: Path) -> None:
    out = tmp_path / "books"
    built(out, write(tmp_path / "dump.txt", *(edition(n, f"Emma {n}") for n in range(200))))
    whole = out.read_bytes()
    out.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with Catalogue(out) as catalogue:
        with pytest.raises(CatalogueError, match=r"books is damaged: .* Build it again"):
            catalogue.search("Emma")
        with pytest.raises(CatalogueError, match="is damaged"):
            catalogue.by_isbn(["9780141439587"])


@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_catalogue_whose_file_is_replaced_or_deleted_goes_on_with_the_old_one_in_all_threads(
    tmp_path: Path, *, is_replaced: bool
) -> None:
    out = tmp_path / "books"
    built(out, write(tmp_path / "old.txt", edition(1, "Emma")))
    with Catalogue(out) as catalogue:
        if is_replaced:
            built(out, write(tmp_path / "new.txt", edition(1, "Dune")))
        else:
            out.unlink()
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda _: [one.book.title for one in catalogue.search("Emma")], range(200)))
    assert found == [["Emma"]] * 200


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_score_grows_with_both_likenesses_and_is_sure_only_of_both(title: float, author: float, more: float) -> None:
    assert 0 <= score(title, author) <= 1
    assert score(max(title, more), author) >= score(title, author)
    assert score(title, max(author, more)) >= score(title, author)
    assert score(title, None) < SURE
    assert (score(title, author) >= SURE) == (title >= 0.82 and author >= 0.8)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_two_typing_errors_in_a_long_title_do_not_hide_a_book(shelf: Catalogue, data: st.DataObject) -> None:
    title, name = data.draw(st.sampled_from([book for book in SHELF if len(book[0]) > 10 and book[0].isascii()]))
    letters = list(title)
    for _ in range(2):
        place = data.draw(st.integers(0, len(letters) - 1))
        match data.draw(st.sampled_from(["drop", "double", "change", "swap"])):
            case "drop":
                del letters[place]
            case "double":
                letters.insert(place, letters[place])
            case "change":
                letters[place] = data.draw(st.sampled_from(string.ascii_lowercase))
            case _:
                letters[place : place + 2] = reversed(letters[place : place + 2])
    assert shelf.search("".join(letters), name)[0].book.title == title


@pytest.mark.parametrize(
    ("held", "asked"),
    [
        ("Henry V", "Henry IV"),
        ("Complete Works III", "Complete Works II"),
        ("Complete Works: Volume III", "Complete Works: Volume II"),
        ("Complete Works", "Complete Works II"),
        ("Henry IV, Part Two", "Henry IV, Part One"),
        ("Gemma", "Emma"),
        ("C# in a Nutshell", "C++ in a Nutshell"),
        ("背景", "北京"),
        ("Summary of Emma", "Emma"),
    ],
)
def test_a_catalogue_that_holds_only_another_volume_or_namesake_is_never_sure(of: Of, held: str, asked: str) -> None:
    catalogue = of(author(1, "William Shakespeare"), work(1, held, [1]))
    hits = [*catalogue.search(asked, "Shakespeare"), *catalogue.find(f"{asked} by William Shakespeare")]
    assert [hit for hit in hits if hit.is_sure] == []
    spine = catalogue.recognise([asked.upper(), "WILLIAM SHAKESPEARE"])
    assert spine is None or not spine.is_sure
    assert catalogue.search(held, "Shakespeare")[0].is_sure
