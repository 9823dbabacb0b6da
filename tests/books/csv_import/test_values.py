# ruff: noqa: RUF001 - text in many scripts is what these tests are about
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum import isbn as stdnum_isbn

from shelfwire.books.bibliography import dates, people
from shelfwire.books.bibliography.isbn import Isbn, looks_like_isbn, parse_isbn, why_not_isbn
from shelfwire.books.bibliography.text import plain_text
from shelfwire.books.csv_import import values

DUNE = Isbn("9780441013593")


@pytest.mark.parametrize(
    "cell",
    [
        "9780441013593", "0441013597", "978-0-441-01359-3", "978 0 441 01359 3", "441013597", "ISBN 978-0441013593",
        "ISBN-13: 9780441013593", "ISBN10:0441013597", "9780441013593 (pbk)", "9780441013593.0", "'9780441013593",
        "0441013590, 9780441013593", "978‑0‑441‑01359‑3", "EAN 9780441013593",
    ],
)  # fmt: skip
def test_an_isbn_is_found_in_every_spelling(cell: str) -> None:
    assert parse_isbn(cell) == DUNE


def test_an_isbn_that_begins_with_979_has_no_short_form() -> None:
    assert parse_isbn("9791032305690") == Isbn("9791032305690")
    assert Isbn("9791032305690").isbn10 is None


def test_a_check_digit_may_be_x() -> None:
    assert parse_isbn("080442957x") == parse_isbn("9780804429573") == Isbn("9780804429573")
    assert Isbn("9780804429573").isbn10 == "080442957X"


@given(st.integers(1, 10**9 - 1), st.sampled_from(["978", "979"]))
def test_conversion_agrees_with_python_stdnum(middle: int, prefix: str) -> None:
    for check in range(10):
        number = f"{prefix}{middle:09}{check}"
        isbn = parse_isbn(number)
        assert (isbn is not None) == stdnum_isbn.is_valid(number)
        if isbn and prefix == "978":
            assert isbn.isbn10 == stdnum_isbn.to_isbn10(number)
            assert parse_isbn(str(isbn.isbn10)) == isbn


@given(st.from_regex(r"[0-9]{9}[0-9Xx]", fullmatch=True))
def test_short_numbers_are_those_of_python_stdnum(number: str) -> None:
    valid = stdnum_isbn.is_valid(number) and number.strip("0") != ""
    assert parse_isbn(number) == (Isbn(stdnum_isbn.to_isbn13(number.upper())) if valid else None)


@pytest.mark.parametrize("end", [" ", "\t", ".", "-", ";", "|"])
def test_nine_digits_have_lost_their_zero_whatever_stands_behind_them(end: str) -> None:
    assert parse_isbn(f"140449132{end}") == Isbn("9780140449136")


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("9780441013594", "The ISBN 9780441013594 has a wrong check digit; one of its digits is mistyped."),
        ("0-441-01359-8", "The ISBN 0-441-01359-8 has a wrong check digit; one of its digits is mistyped."),
        ("97803742392", "The ISBN 97803742392 has 11 digits instead of 10 or 13."),
        ("97803742392 purity", '"97803742392 purity" is not an ISBN.'),
        ("---", '"---" is not an ISBN.'),
        ("5012345678900", "5012345678900 is a product number, not an ISBN: those begin with 978 or 979."),
    ],
)
def test_a_wrong_isbn_is_explained(cell: str, why: str) -> None:
    assert parse_isbn(cell) is None
    assert why_not_isbn(cell) == why


def test_an_isbn_shortened_by_a_spreadsheet_is_lost() -> None:
    assert "digits are lost" in why_not_isbn("9,78E+12")


@pytest.mark.parametrize(("cell", "answer"), [("9780441013594", True), ("0441013597", True), ("1984", False)])
def test_a_mistyped_isbn_still_looks_like_one(cell: str, answer: bool) -> None:  # noqa: FBT001 - a table's column
    assert looks_like_isbn(cell) is answer


@pytest.mark.parametrize(
    ("cell", "date"),
    [
        ("2021-05-03", "2021-05-03"), ("2021/5/3", "2021-05-03"), ("03.05.2021", "2021-05-03"),
        ("3.5.21", "2021-05-03"), ("3.5.99", "1999-05-03"), ("[2021-05-03]", "2021-05-03"),
        ("2024-03-01T13:01:12.937", "2024-03-01"), ("2021-05-03 10:00", "2021-05-03"), ("2021年5月3日", "2021-05-03"),
        ("2021", "2021"), ("2021-05", "2021-05"), ("2021-05-00", "2021-05"), ("2021-00-00", "2021"),
        ("05/2021", "2021-05"), ("May 3, 2021", "2021-05-03"), ("3 Mai 2021", "2021-05-03"), ("Sept. 2021", "2021-09"),
        ("13/05/2021", "2021-05-13"), ("05/13/2021", "2021-05-13"), ("03-05-2021", "2021-05-03"),
        ("2020-02-01, 2024-03-09", "2024-03-09"),
        ("0000-00-00", None), ("2021-02-30", None), ("0101-01-01T00:00:00", None), ("soon", None), ("3/21", None),
        ("Foo 2021", None), ("31.02.2021", None),
    ],
)  # fmt: skip
def test_dates_become_iso_dates_as_exact_as_they_are(cell: str, date: str | None) -> None:
    assert (dates.parse_dates(cell, day_first=False) or (None,))[-1] == date


@pytest.mark.parametrize(
    ("cell", "date"),
    [
        ("15 марта 2019", "2019-03-15"), ("Январь 2020 г.", "2020-01"), ("2018 г.", "2018"),
        ("3 maja 2021", "2021-05-03"), ("3 de mayo de 2021", "2021-05-03"),
        ("1er mai 2021", "2021-05-01"), ("2021. május 3.", "2021-05-03"),
        ("٣ مايو ٢٠٢١", "2021-05-03"), ("12 آذار 2020", "2020-03-12"), ("den 12 okt. 2020", "2020-10-12"),
        ("2021년 1월 5일", "2021-01-05"), ("Sat Oct 28 01:52:25 -0700 2017", "2017-10-28"), ("12-Aug-10", "2010-08-12"),
        ("March 27, 2024 19:39", "2024-03-27"), ("1577836800000", "2020-01-01"), ("20210304", "2021-03-04"),
        ("May", None), ("May 3", None), ("1999 Penguin", None), ("marzo", None), ("3 foo 2021", None),
    ],
)  # fmt: skip
def test_dates_are_read_in_the_words_and_digits_of_many_languages(cell: str, date: str | None) -> None:
    assert dates.parse_date(cell, day_first=False) == date


def test_a_cell_may_list_dates_with_commas_within_them() -> None:
    assert dates.parse_dates("May 3, 2021, June 4, 2022", day_first=False) == ("2021-05-03", "2022-06-04")
    assert dates.parse_dates("soon, later", day_first=False) == ()


@pytest.mark.parametrize(
    ("cell", "state"),
    [
        ("Finished on Aug 12 2010", ("read", "Aug 12 2010")),
        ("Reading since Jan 2, 2011", ("currently-reading", "Jan 2, 2011")),
        ("In lettura dal 3 gennaio 2011", ("currently-reading", "3 gennaio 2011")),
        ("Не дочитано", ("did-not-finish", "")),
        ("いま読んでる", ("currently-reading", "")),
        ("أرغب في قراءته", ("to-read", "")),
        ("Library of Babel", None),
        ("Attic", None),
    ],
)
def test_a_reading_state_is_read_from_words_with_a_date_behind_it(cell: str, state: tuple[str, str] | None) -> None:
    assert values.reading_state(cell) == state


def test_slashes_mean_what_the_file_says() -> None:
    assert dates.parse_date("3/4/2021", day_first=True) == "2021-04-03"
    assert dates.parse_date("3/4/2021", day_first=False) == "2021-03-04"
    assert dates.is_day_first(["3/4/2021", "13/4/2021"], default=False)
    assert not dates.is_day_first(["3/4/2021", "4/13/2021"], default=True)
    assert dates.is_day_first(["13/4/2021", "4/13/2021", "2021-01-01"], default=True)


@pytest.mark.parametrize(
    ("cell", "stars"),
    [
        ("4,5", 4.5), ("4.75", 4.75), ("0", None), ("0.0", None), ("5", 5), ("7/10", 3.5), ("8 out of 10", 4),
        ("★★★☆☆", 3), ("★★½", 2.5), ("4 stars", 4), ("0.1", None), ("4 von 5", 4),
    ],
)  # fmt: skip
def test_ratings_become_stars(cell: str, stars: float | None) -> None:
    assert values.parse_rating(cell) == stars


@pytest.mark.parametrize("cell", ["blue", "6", "-1", "9999999"])
def test_what_is_no_rating_is_refused(cell: str) -> None:
    with pytest.raises(ValueError, match=cell):
        values.parse_rating(cell)


@pytest.mark.parametrize(("marks", "scale"), [(["3", "5"], 5), (["9", "4"], 10), (["20"], 20), (["87"], 100), ([], 5)])
def test_the_highest_mark_of_a_column_tells_its_scale(marks: list[str], scale: int) -> None:
    assert values.rating_scale([*marks, "", "3/10", "good"]) == scale


@pytest.mark.parametrize(
    ("cell", "year"),
    [
        ("1997", 1997), ("c1999", 1999), ("1990-05-01T01:00", 1990), ("19. Mai 2001", 2001), ("-750", -750),
        ("0", None), ("8", 8), ("12345", None), ("n.d.", None), ("9999", None),
    ],
)  # fmt: skip
def test_years_are_found_in_numbers_and_dates(cell: str, year: int | None) -> None:
    assert values.parse_year(cell) == year


@pytest.mark.parametrize(
    ("cell", "pages"),
    [
        ("352", 352),
        ("1,232", 1232),
        ("1.232", 1232),
        ("xii, 345 p.", 345),
        ("0", None),
        ("many", None),
        ("1" * 9, None),
    ],
)
def test_pages_are_counted(cell: str, pages: int | None) -> None:
    assert values.parse_pages(cell) == pages


@pytest.mark.parametrize(
    ("name", "shelf"),
    [
        ("Already Read", "read"), ("currently_reading", "currently-reading"), ("Want to Read", "to-read"),
        ("dnf", "did-not-finish"), ("À lire", "to-read"), ("積読", "to-read"), ("Pense-bête", "wishlist"),
        ("Your library", "owned"), ("paused", "paused"), ("Cooking", None),
    ],
)  # fmt: skip
def test_shelves_are_known_by_many_names(name: str, shelf: str | None) -> None:
    assert values.known_shelf(name) == shelf


def test_html_in_a_review_becomes_lines() -> None:
    assert plain_text("Great.<br/><br>He said &quot;3 < 4&quot;.</p><p>I <em>loved</em> it") == (
        'Great.\n\nHe said "3 < 4".\nI loved it'
    )
    assert plain_text(" chef d'oeuvre[return][return]relire ") == "chef d'oeuvre\n\nrelire"


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("Frank Herbert", ["Frank Herbert"]), ("Andy  Weir", ["Andy Weir"]), ("Gaiman, Neil", ["Neil Gaiman"]),
        ("Neil Gaiman, Terry Pratchett", ["Neil Gaiman", "Terry Pratchett"]),
        ("Le Guin, Ursula K.", ["Ursula K. Le Guin"]),
        ("Lin-Manuel Miranda & Jeremy McCarter", ["Lin-Manuel Miranda", "Jeremy McCarter"]),
        ("Neil Gaiman and Terry Pratchett", ["Neil Gaiman", "Terry Pratchett"]),
        ("Gaiman, Neil; Pratchett, Terry", ["Neil Gaiman", "Terry Pratchett"]),
        ("Kurt Vonnegut, Jr.", ["Kurt Vonnegut Jr."]), ("[Homer]", ["Homer"]), ("unknown", []), ("-Anon", ["-Anon"]),
        ("Homer, Emily Wilson (Translator)", ["Homer"]), ("Ann Reader (Narrator)", ["Ann Reader"]), (", ", []),
        ("Frank Herbert (Author)", ["Frank Herbert"]), ("(x)", ["(x)"]),
        ("Juan Díaz Canales et Juanjo Guarnido", ["Juan Díaz Canales", "Juanjo Guarnido"]),
        ("Neil Gaiman y Terry Pratchett", ["Neil Gaiman", "Terry Pratchett"]),
        ("José Ortega y Gasset", ["José Ortega y Gasset"]),
        ("Ortega y Gasset, José", ["José Ortega y Gasset"]),
        ("Ian Goodfellow et al.", ["Ian Goodfellow et al."]),
        ("Stephen and Owen King", ["Stephen King", "Owen King"]),
        ("Homer and Robert Fagles", ["Homer", "Robert Fagles"]),
        ("Hans und Sophie Scholl", ["Hans Scholl", "Sophie Scholl"]), ("Plato & Ann Orr", ["Plato", "Ann Orr"]),
        ("Аркадий и Борис Стругацкие", ["Аркадий и Борис Стругацкие"]),
        ("Пушкин и Иван Тургенев", ["Пушкин", "Иван Тургенев"]),
        ("Lem, Stanisław.", ["Stanisław Lem"]),
        ("Tolkien, J.R.R.", ["J.R.R. Tolkien"]),
        ("Scott, Walter, Sir", ["Sir Walter Scott"]), ("King, Martin Luther, Jr.", ["Martin Luther King Jr."]),
    ],
)  # fmt: skip
def test_authors_are_read_from_hand_made_lists(cell: str, names: list[str]) -> None:
    assert list(people.authors_of_any_list(cell)) == names


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("Zask Joëlle", "Joëlle Zask"), ("Oates Joyce Carol", "Joyce Carol Oates"), ("Le Carré John", "John Le Carré"),
        ("Bruycker Daniel de", "Daniel de Bruycker"), ("Molière", "Molière"), ("Camus, Albert", "Albert Camus"),
    ],
)  # fmt: skip
def test_names_with_the_surname_first_are_turned_around(cell: str, name: str) -> None:
    assert people.author_of_surname_first(cell) == (name,)


def test_a_suffix_stays_behind_an_inverted_name() -> None:
    assert people.authors_of_inverted_list("King, Martin Luther, Jr.|Homer") == ("Martin Luther King Jr.", "Homer")


def test_a_catalogues_full_stop_and_sir_do_not_end_up_inside_a_name() -> None:
    assert people.authors_of_inverted_list("Scott, Walter, Sir|Lem, Stanisław.") == (
        "Sir Walter Scott",
        "Stanisław Lem",
    )


def test_an_endless_list_of_authors_is_cut() -> None:
    assert len(people.authors_of_comma_list(",".join(f"Author {n}" for n in range(1_000)))) == people.MOST_AUTHORS


@given(st.text(max_size=300), st.integers(min_value=0, max_value=400))
def test_a_text_is_cut_by_the_bytes_that_it_takes_as_json(text: str, most: int) -> None:
    text = text.encode("utf-8", "ignore").decode()
    kept = values.within_bytes(text, most)
    assert text.startswith(kept)
    assert len(msgspec.json.encode(kept)) - 2 <= most
    assert kept == text or len(msgspec.json.encode(text)) - 2 > most
