from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from shelfwire.books.settings import BookSettings
from shelfwire.settings import Secret, SettingsError, load

KEY, OTHER_KEY = "a-key-of-the-web-app", "another-one-of-the-phone-app"


def own(flags: Mapping[str, Any], environ: Mapping[str, str]) -> BookSettings:
    return load(flags, environ, [BookSettings]).section(BookSettings)


@pytest.mark.parametrize(
    ("flags", "environ", "words"),
    [
        ({}, {"GEMINI_API_KEY": "secret key"}, "GEMINI_API_KEY: the key has a space"),
        ({"gemini_url": "http://gemini.example"}, {}, "--gemini-url: gemini.example is not this machine"),
        ({"gemini_url": "https://u:secret@gemini.example"}, {}, "--gemini-url: this is no address"),
        ({"gemini_url": "https://gemini.example/?key=secret"}, {}, "--gemini-url: this is no address"),
        ({"gemini_url": "gemini.example"}, {}, "--gemini-url: this is no address"),
        ({"gemini_url": "https://[::1"}, {}, "--gemini-url: this is no address"),
        ({"gemini_model": "../files"}, {}, "--gemini-model: '../files' is no name of a model"),
        ({"gemini_rate": 0}, {}, "--gemini-rate: Expected `int` >= 1"),
        ({"providers": "amazon"}, {}, "--providers: 'amazon' is no provider of book data. There are: catalogue, "),
        ({"providers": "catalogue catalogue"}, {}, "--providers: a provider is named twice"),
        ({"contact": "Jane (at home)"}, {}, "--contact: the contact is to be a mail address or website"),
        ({"contact": "jane@example.com\r\nX-Evil: 1"}, {}, "--contact: the contact is to be"),
        ({"open_library_url": "openlibrary.org"}, {}, "--open-library-url: this is no address"),
        ({"open_library_rate": 0}, {}, "--open-library-rate: Expected `float` > 0.0"),
        ({"google_books_url": "http://books.example"}, {}, "--google-books-url: books.example is not this machine"),
        ({"google_books_api_key": "a key"}, {}, "--google-books-api-key: the key has a space"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_with_its_source(
    flags: dict[str, object], environ: dict[str, str], words: str
) -> None:
    with pytest.raises(SettingsError, match=words.replace("?", ".")) as refused:
        own(flags, environ)
    assert "secret" not in str(refused.value)


def test_geminis_key_may_come_under_the_name_that_google_gives_it_and_is_shown_by_no_way_of_printing() -> None:
    assert own({}, {"GEMINI_API_KEY": f" {KEY}\n"}).gemini_api_key == Secret(KEY)
    both = {"GEMINI_API_KEY": OTHER_KEY, "SHELFWIRE_GEMINI_API_KEY": KEY}
    assert own({}, both).gemini_api_key == Secret(KEY)
    assert own({"gemini_api_key": OTHER_KEY}, both).gemini_api_key == Secret(OTHER_KEY)
    assert own({}, {"GEMINI_API_KEY": ""}).gemini_api_key is None
    settings = own({}, both)
    assert KEY not in f"{settings} {settings!r} {settings.gemini_api_key} {msgspec.structs.asdict(settings)}"


def test_the_address_of_gemini_may_be_this_machine_without_https() -> None:
    assert own({"gemini_url": "http://127.0.0.1:8000/"}, {}).gemini_url == "http://127.0.0.1:8000"
    assert own({"gemini_url": "https://gemini.example/proxy/"}, {}).gemini_url == "https://gemini.example/proxy"


def test_providers_are_asked_in_the_order_in_which_they_are_named() -> None:
    assert own({}, {"SHELFWIRE_PROVIDERS": "google_books, catalogue"}).providers == ("google_books", "catalogue")


def test_open_library_gets_no_key_and_may_be_anywhere() -> None:
    assert own({"open_library_url": "http://mirror.example/ol/"}, {}).open_library_url == "http://mirror.example/ol"
