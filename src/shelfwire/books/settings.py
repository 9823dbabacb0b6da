"""The settings of the books: Gemini, the providers of book data, the local catalogue."""

import re
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from shelfwire.addresses import DEFAULT_PORTS, is_loopback
from shelfwire.settings import Secret, SettingsError

PROVIDERS: Final = ("catalogue", "open_library", "google_books")
"""The providers of book data."""
MAX_CONTACT_CHARS: Final = 200


class BookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the pipelines of the books reach what they need."""

    catalogue: Annotated[
        Path | None, Meta(description=("The file of a local catalogue, which knows books by ISBN, title and author."))
    ] = None
    gemini_api_key: Annotated[
        Secret | None,
        Meta(
            description=(
                "The key for Gemini, which reads photos and lists of unknown layout; unset to read without it."
            ),
            extra={"variables": ("GEMINI_API_KEY",)},
        ),
    ] = None
    gemini_url: Annotated[str, Meta(description="Where Gemini is; https, or a loopback address.")] = (
        "https://generativelanguage.googleapis.com"
    )
    gemini_model: Annotated[str, Meta(description="The model to ask.")] = "gemini-flash-latest"
    gemini_required: Annotated[
        bool, Meta(description=("Let items fail that Gemini does not answer for, instead of reading them without it."))
    ] = False
    gemini_rate: Annotated[int, Meta(ge=1, description="Requests to Gemini within any minute.")] = 60
    gemini_at_once: Annotated[int, Meta(ge=1, le=100, description="Requests to Gemini at a time.")] = 4
    gemini_timeout: Annotated[float, Meta(ge=1, le=600, description="Seconds for an answer of Gemini.")] = 60.0
    providers: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Which providers are asked for book data, in this order: catalogue, open_library, google_books."
            )
        ),
    ] = PROVIDERS
    contact: Annotated[
        str | None,
        Meta(description=("A mail address or website that is sent to Open Library and Google Books, as they ask for.")),
    ] = None
    open_library_url: Annotated[str, Meta(description="Where Open Library is.")] = "https://openlibrary.org"
    open_library_rate: Annotated[
        Annotated[float, Meta(gt=0, le=1000)] | None,
        Meta(description="Requests a second to Open Library; unset for 1, or 3 with a contact."),
    ] = None
    google_books_url: Annotated[str, Meta(description="Where the volumes of Google Books are.")] = (
        "https://www.googleapis.com/books/v1"
    )
    google_books_rate: Annotated[
        Annotated[float, Meta(gt=0, le=1000)] | None,
        Meta(description="Requests a second to Google Books; unset for 2."),
    ] = None
    google_books_api_key: Annotated[
        Secret | None,
        Meta(description=("A key for Google Books; without one, all the world shares a quota that is often spent.")),
    ] = None

    def __post_init__(self) -> None:
        """Check each value, and bring it into the form in which it is used."""
        for name, check in _CHECKS.items():
            msgspec.structs.force_setattr(self, name, check(getattr(self, name)))


def _outside_key(key: Secret | None) -> Secret | None:
    text = "" if key is None else key.reveal().strip()
    if not text:
        return None
    if not re.fullmatch(r"[!-~]+", text):
        raise SettingsError("the key has a space or a letter beyond ASCII in it, which no header can carry")
    return Secret(text)


def _outside_url(text: str, *, secret: bool = True) -> str:
    """Check the address of an outside service, and take the slash off its end.

    Args:
        text: the address.
        secret: whether a key goes there.
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if (
        not host
        or port == 0
        or parts.scheme not in DEFAULT_PORTS
        or parts.query
        or parts.fragment
        or "@" in parts.netloc
    ):
        raise SettingsError("this is no address of a service. One looks like https://service.example.com")
    if secret and parts.scheme == "http" and not is_loopback(host):
        raise SettingsError(f"{host} is not this machine, and without https everybody on the way could read the key")
    return text.rstrip("/")


def _model(text: str) -> str:
    if not re.fullmatch(r"(models/)?[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text):
        raise SettingsError(f"{text!r} is no name of a model. One looks like gemini-flash-latest")
    return text


def _providers(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in PROVIDERS:
            raise SettingsError(f"{name!r} is no provider of book data. There are: {', '.join(PROVIDERS)}")
    if len(set(names)) < len(names):
        raise SettingsError("a provider is named twice; the order says who is asked first")
    return names


def _contact(contact: str | None) -> str | None:
    if contact is None:
        return None
    if len(contact) > MAX_CONTACT_CHARS or not re.fullmatch(r"[ -'*-~]+", contact):
        raise SettingsError(
            f"the contact is to be a mail address or website, of at most {MAX_CONTACT_CHARS} ASCII characters without "
            "brackets"
        )
    return contact


_CHECKS: Final[dict[str, Any]] = {
    "gemini_api_key": _outside_key,
    "google_books_api_key": _outside_key,
    "gemini_url": _outside_url,
    "google_books_url": _outside_url,
    "open_library_url": lambda url: _outside_url(url, secret=False),
    "gemini_model": _model,
    "providers": _providers,
    "contact": _contact,
}
