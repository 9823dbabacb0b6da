import pytest

from shelfwire.books.bibliography.people import authors_of_any_list, is_surname_first, others_of_any_list


@pytest.mark.parametrize(
    ("cell", "names"),
    [
        ("프랭크 허버트 저/김승욱 역", ("프랭크 허버트",)),
        ("J.R.R. トールキン\uff0f著 瀬田貞二\uff0f訳", ("J.R.R. トールキン",)),
        ("夏目漱石(著), 安野光雅(絵)", ("夏目漱石",)),
        ("村上春樹、柴田元幸", ("村上春樹", "柴田元幸")),
        ("[美] 弗兰克·赫伯特 著", ("弗兰克·赫伯特",)),
        ("Tolkien, J. R. R. (John Ronald Reuel), 1892-1973, author.", ("J. R. R. Tolkien",)),
        ("Gaiman, Neil, author; McKean, Dave, illustrator", ("Neil Gaiman",)),
        ("Herbert, Frank*", ("Frank Herbert",)),
        ("AC/DC", ("AC/DC",)),
    ],
)
def test_roles_countries_and_fuller_names_are_no_part_of_a_name(cell: str, names: tuple[str, ...]) -> None:
    assert authors_of_any_list(cell) == names


def test_a_surname_that_stands_first_shows_by_capitals_or_the_given_name() -> None:
    names = ["CAMUS Albert", "Albert CAMUS", "Lem Stanisław", "Stephen King", "Plato"]
    assert [name for name in names if is_surname_first(name)] == ["CAMUS Albert", "Lem Stanisław"]


@pytest.mark.parametrize(
    ("cell", "others"),
    [
        ("Umberto Eco, William Weaver (Translator)", ("William Weaver (Translator)",)),
        ("프랭크 허버트 저/김승욱 역", ("김승욱 (역)",)),
        ("Gaiman, Neil, author; McKean, Dave, illustrator", ("Dave McKean (illustrator)",)),
        ("William Weaver (Translator)", ()),
        ("Eco, Umberto", ()),
    ],
)
def test_people_who_did_not_write_are_told_apart_with_what_they_did(cell: str, others: tuple[str, ...]) -> None:
    assert others_of_any_list(cell) == others
