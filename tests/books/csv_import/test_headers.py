import pytest

from shelfwire.books.bibliography.text import text_key
from shelfwire.books.csv_import.column_plan import map_columns
from shelfwire.books.csv_import.headers import generic_field, header_strength
from shelfwire.books.csv_import.inferred_columns import infer_columns


def fields(header: str, *rows: str) -> dict[str, str]:
    columns = map_columns(header.split(","), [row.split(",") for row in rows])
    return {columns.names[index]: field for index, field in columns.fields}


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("Title,Author,ISBN,Publisher,Year,Rating,Date Read", "en"),
        ("Titel,Autor,ISBN,Verlag,Erscheinungsjahr,Bewertung,Gelesen am", "de"),
        ("Titre,Auteur,ISBN,Éditeur,Année,Note,Date de lecture", "fr"),
        ("Título,Autor,ISBN,Editorial,Año,Puntuación,Fecha de lectura", "es"),
        ("Titolo,Autore,ISBN,Editore,Anno,Voto,Data di lettura", "it"),
        ("Título,Autor,ISBN,Editora,Ano,Avaliação,Data de leitura", "pt"),
        ("Titel,Auteur,ISBN,Uitgever,Jaar,Beoordeling,Datum gelezen", "nl"),
        ("Titel,Författare,ISBN,Förlag,Utgivningsår,Betyg,Läst", "sv"),
        ("Tytuł,Autor,ISBN,Wydawnictwo,Rok wydania,Ocena,Data przeczytania", "pl"),
        ("Название,Автор,ISBN,Издательство,Год издания,Оценка,Дата прочтения", "ru"),
        ("タイトル,著者,ISBN,出版社,出版年,評価,読了日", "ja"),
        ("书名,作者,ISBN,出版社,出版年,评分,阅读日期", "zh"),
    ],
)
def test_columns_are_found_in_many_languages(header: str, language: str) -> None:
    columns = map_columns(header.split(","), [])
    assert [field for _, field in sorted(columns.fields)] == [
        "title", "author", "isbn", "publisher", "year", "rating", "date_read",
    ]  # fmt: skip
    assert columns.language == language


@pytest.mark.parametrize(
    ("misspelt", "field"),
    [
        ("Auther", "author"),
        ("Ttile", "title"),
        ("Pubisher", "publisher"),
        ("Langauge", "language"),
        ("Publication Yaer", "year"),
    ],
)
def test_misspelt_columns_are_found(misspelt: str, field: str) -> None:
    assert generic_field(text_key(misspelt), "en") == field


@pytest.mark.parametrize(
    "name",
    [
        "author sort", "Author sorted", "title sort", "Author ID", "Average Rating", "Ratings count", "Translator",
        "Illustrator", "Title URL", "Cover image", "Bookshelves with positions", "Review date", "Current page", "Pace",
        "Weight", "Price", "Dewey", "Loaned to", "x", "", "Place of publication", "isbn12", "Description",
    ],
)  # fmt: skip
def test_columns_that_only_look_alike_are_left_alone(name: str) -> None:
    assert generic_field(text_key(name), "en") is None


def test_note_is_a_mark_in_french_and_a_comment_in_english() -> None:
    assert fields("Titre,Auteur,Note")["Note"] == "rating"
    assert fields("Title,Author,Note")["Note"] == "notes"


def test_an_edition_is_a_publisher_in_french_only() -> None:
    assert fields("Titre,Auteur,Édition")["Édition"] == "publisher"
    assert fields("Title,Author,Edition")["Edition"] == "edition"


def test_names_of_another_language_count_too() -> None:
    assert fields("Title,Author,Verlag") == {"Title": "title", "Author": "author", "Verlag": "publisher"}


def test_titles_and_authors_are_found_by_position_in_an_unknown_language() -> None:
    found = fields("Szám,Könyvcím,Szerző,ISBN", "1,Dune,Frank Herbert,9780441013593", "2,Emma,Jane Austen,")
    assert found == {"Könyvcím": "title", "Szerző": "author", "ISBN": "isbn"}


def test_a_list_without_titles_keeps_its_isbns() -> None:
    assert fields("ISBN,Date", "9780441013593,x") == {"ISBN": "isbn"}


def test_columns_without_header_are_told_by_their_cells() -> None:
    columns = infer_columns([["1", "9780441013593", "Dune", "Frank Herbert"], ["2", "0441569595", "Neuromancer"]])
    assert columns.names == ("column 1", "isbn", "title", "author")
    assert infer_columns([]).names == ()


@pytest.mark.parametrize(
    ("row", "strength"),
    [
        (["Title", "Author", "ISBN"], 3),
        (["Work Id", "Edition Id", "Bookshelf"], 3),
        (["Read", "Owned", "Format"], 0),
        (["Dune", "Frank Herbert"], 0),
        (["Title", "x" * 100], 0),
    ],
)
def test_a_header_names_something_essential(row: list[str], strength: int) -> None:
    assert header_strength(row) == strength
