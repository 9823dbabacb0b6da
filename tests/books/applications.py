"""Servers whose settings are of both kinds, and whose services a test can hand to pipelines of its own."""

from typing import Any

import msgspec

from shelfwire.app import Shelfwire
from shelfwire.books import Books
from shelfwire.books.services import Services
from shelfwire.books.settings import BookSettings
from shelfwire.settings import Settings

_OWN = frozenset(field.name for field in msgspec.structs.fields(BookSettings))


def settings_with(**options: Any) -> Settings:
    """The server's settings with those of the books, told apart by their names."""
    books = BookSettings(**{name: value for name, value in options.items() if name in _OWN})
    return Settings(**{name: value for name, value in options.items() if name not in _OWN}, sections=(books,))


def application(settings: Settings, **options: Any) -> tuple[Shelfwire, Services]:
    """An application, and the services that its pipelines share."""
    books = Books()
    app = Shelfwire(settings, plugins=[books], **options)
    assert books._services is not None
    return app, books._services
