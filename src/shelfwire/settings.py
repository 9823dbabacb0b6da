"""Every setting, once: its name, default and meaning. The environment is read here and nowhere else.

A setting may come as a flag, as an environment variable (`SHELFWIRE_` and the name in capitals) or as a key of a TOML
file; the first of these that gives it wins.
"""

import inspect
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, get_origin
from urllib.parse import urlsplit

import msgspec
import platformdirs

from shelfwire.protocol.messages import MAX_INLINE_BYTES

PREFIX: Final = "SHELFWIRE_"
CONFIG_VARIABLE: Final = "SHELFWIRE_CONFIG"

MIN_KEY_CHARS: Final = 16
ANY_ORIGIN: Final = "*"
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
LOOPBACK: Final = "127.0.0.1"

PROVIDERS: Final = ("catalogue", "open_library", "google_books")
"""Who may be asked for book data."""
MAX_CONTACT_CHARS: Final = 200

Rate = Annotated[float, msgspec.Meta(gt=0, le=1000)]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class SettingsError(ValueError):
    """A setting has a value that cannot be used. The text names the setting, where it came from and what is wrong."""


class Secret:
    """A text that shows itself to nobody: not printed, not formatted, not logged."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text, for the one place that needs it."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


def default_data() -> Path:
    """The platform's folder for a user's data."""
    return platformdirs.user_data_path("shelfwire", appauthor=False)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a server runs.

    Attributes:
        host: the address to listen on; any but a loopback address needs an API key.
        port: the port; 0 takes a free one.
        data: the data folder.
        database: a database URL; unset keeps SQLite in the data folder.
        flush_interval: seconds between two commits of progress; 0 commits every change.
        lease: seconds a worker holds a job without renewing.
        token_ttl: seconds a token lasts; unset for as long as its job.
        job_ttl: seconds an ended job is kept.
        workers: jobs at once on this node.
        api_keys: who may create jobs, separated by commas or spaces, 16 characters or more each; unset for everyone.
        allow_keyless: listen beyond loopback without an API key, as behind a proxy that checks its callers.
        create_limit: jobs a minute that each caller may create; 0 is no limit.
        origins: websites whose scripts may come in, such as https://app.example.com, or * for all.
        stall_after: seconds without an item after which a running job is shown as stalled; 0 is never.
        max_followers: followers at once on this node, whatever their transport.
        max_upload: bytes of all inputs of a job.
        upload_timeout: seconds without a byte after which an upload is given up.
        catalogue: the file of a local catalogue, which knows books by ISBN, title and author.
        gemini_api_key: the key for Gemini, which reads photos and lists of unknown layout; unset to read without it.
        gemini_url: where Gemini is; https, or a loopback address.
        gemini_model: the model to ask.
        gemini_required: let items fail that Gemini does not answer for, instead of reading them without it.
        gemini_rate: requests to Gemini within any minute.
        gemini_at_once: requests to Gemini at a time.
        gemini_timeout: seconds for an answer of Gemini.
        inline_results: bytes of results in a terminal message; the rest is paged.
        providers: who is asked for book data, in this order: catalogue, open_library, google_books.
        contact: a mail address or website that Open Library and Google Books are told of, as they ask for.
        open_library_url: where Open Library is.
        open_library_rate: requests a second to Open Library; unset for 1, or 3 with a contact.
        google_books_url: where the volumes of Google Books are.
        google_books_rate: requests a second to Google Books; unset for 2.
        google_books_api_key: a key for Google Books; without one, all the world shares a quota that is often spent.
    """

    host: str = LOOPBACK
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8787
    data: Path = msgspec.field(default_factory=default_data)
    database: str | None = None
    flush_interval: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.05
    lease: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 1.5
    token_ttl: Positive | None = None
    job_ttl: Positive = 86400
    workers: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 4
    api_keys: tuple[Secret, ...] = ()
    allow_keyless: bool = False
    create_limit: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 10
    origins: tuple[str, ...] = ()
    stall_after: Annotated[float, msgspec.Meta(ge=0)] = 60.0
    max_followers: Positive = 10_000
    max_upload: Positive = 10 * 1024 * 1024
    upload_timeout: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    catalogue: Path | None = None
    gemini_api_key: Secret | None = None
    gemini_url: str = "https://generativelanguage.googleapis.com"
    gemini_model: str = "gemini-flash-latest"
    gemini_required: bool = False
    gemini_rate: Positive = 60
    gemini_at_once: Annotated[int, msgspec.Meta(ge=1, le=100)] = 4
    gemini_timeout: Annotated[float, msgspec.Meta(ge=1, le=600)] = 60.0
    inline_results: Annotated[int, msgspec.Meta(ge=1024, le=MAX_INLINE_BYTES)] = 768 * 1024
    providers: tuple[str, ...] = PROVIDERS
    contact: str | None = None
    open_library_url: str = "https://openlibrary.org"
    open_library_rate: Rate | None = None
    google_books_url: str = "https://www.googleapis.com/books/v1"
    google_books_rate: Rate | None = None
    google_books_api_key: Secret | None = None


def meanings() -> dict[str, str]:
    """What each setting means, by its name: the text of `Settings`, as a sentence without its full stop."""
    lines = re.findall(r"^ +(\w+): (.+?)\.?$", inspect.getdoc(Settings) or "", re.MULTILINE)
    return {name: f"{meaning[:1].upper()}{meaning[1:]}" for name, meaning in lines}


LISTS: Final = frozenset(field.name for field in msgspec.structs.fields(Settings) if get_origin(field.type) is tuple)
"""The settings that hold several values; as one text these are separated by commas or spaces."""


VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    field.name: (PREFIX + field.name.upper(),) for field in msgspec.structs.fields(Settings)
} | {"gemini_api_key": (f"{PREFIX}GEMINI_API_KEY", "GEMINI_API_KEY")}
"""The environment variables of each setting, by its name; the first that is there wins."""


def load(flags: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Gather the settings of a process.

    Args:
        flags: by setting; None where a flag was not given. `config` names a TOML file.
        environ: the environment.

    Raises:
        SettingsError: a value cannot be used, a file cannot be read or holds an unknown key.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    path = given.pop("config", None) or environ.get(CONFIG_VARIABLE)
    names = {field.name for field in msgspec.structs.fields(Settings)}
    values: dict[str, Any] = {}
    if path is not None:
        for key, value in _read_toml(Path(path)).items():
            _take(values, key.replace("-", "_"), value, f"{path}: {key}", names)
    for name in sorted(names):
        for variable in reversed(VARIABLES[name]):
            if variable in environ:
                _take(values, name, environ[variable], variable, names)
    for name, value in given.items():
        _take(values, name, value, "--" + name.replace("_", "-"), names)
    settings = Settings(**values)
    _check_reach(settings)
    _check_database(settings.database)
    return settings


def _take(values: dict[str, Any], name: str, value: Any, source: str, names: set[str]) -> None:
    if name not in names:
        raise SettingsError(f"{source} is not a setting. The settings are: {', '.join(sorted(names))}")
    if name in LISTS and isinstance(value, str):
        value = [element for element in re.split(r"[,\s]+", value) if element]
    try:
        settings = msgspec.convert({name: value}, Settings, strict=False, dec_hook=_custom)
        values[name] = _checked(name, getattr(settings, name))
    except (msgspec.ValidationError, SettingsError) as error:
        raise SettingsError(f"{source}: {str(error).split(' - at')[0]}") from None


def _custom(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return _path(value)
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    return value


def _path(text: str) -> Path:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SettingsError(f"{os.fsencode(text)!r} is no name in UTF-8. Take another one") from None
    return expanded(text)


def expanded(text: str) -> Path:
    """The path that a text names, which may begin with `~` or `~user`.

    Raises:
        SettingsError: there is no such user.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError:  # so pathlib says it
        raise SettingsError(f"There is no user whose folder {text} could be in. Name it in full") from None


def _checked(name: str, value: Any) -> Any:
    match name:
        case "api_keys":
            for number, key in enumerate(value, 1):
                _check_key(number, key.reveal())
        case "origins":
            return tuple(_origin(origin) for origin in value)
        case "gemini_api_key" | "google_books_api_key":
            return _outside_key(value)
        case "gemini_url" | "google_books_url":
            return _outside_url(value)
        case "open_library_url":
            return _outside_url(value, secret=False)
        case "gemini_model":
            return _model(value)
        case "providers":
            _check_providers(value)
        case "contact":
            _check_contact(value)
    return value


def _check_key(number: int, key: str) -> None:
    if len(key) < MIN_KEY_CHARS:
        raise SettingsError(
            f"API key {number} has {len(key)} characters and needs {MIN_KEY_CHARS} at least. "
            "Make one with: openssl rand -base64 32"
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise SettingsError(f"API key {number} has a space or a letter beyond ASCII in it, which no header can carry")


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
    if secret and parts.scheme == "http" and not _is_loopback(host):
        raise SettingsError(f"{host} is not this machine, and without https everybody on the way could read the key")
    return text.rstrip("/")


def _model(text: str) -> str:
    if not re.fullmatch(r"(models/)?[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text):
        raise SettingsError(f"{text!r} is no name of a model. One looks like gemini-flash-latest")
    return text


def _check_providers(names: tuple[str, ...]) -> None:
    for name in names:
        if name not in PROVIDERS:
            raise SettingsError(f"{name!r} is no provider of book data. There are: {', '.join(PROVIDERS)}")
    if len(set(names)) < len(names):
        raise SettingsError("a provider is named twice; the order says who is asked first")


def _check_contact(contact: str) -> None:
    if len(contact) > MAX_CONTACT_CHARS or not re.fullmatch(r"[ -'*-~]+", contact):
        raise SettingsError(
            f"the contact is to be a mail address or website, of at most {MAX_CONTACT_CHARS} ASCII characters without "
            "brackets"
        )


def _origin(text: str) -> str:
    """Bring an origin into the form that browsers send."""
    if text == ANY_ORIGIN:
        return text
    try:
        parts = urlsplit(text.lower())
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host = parts.netloc.removesuffix(f":{DEFAULT_PORTS.get(parts.scheme)}")
    if not parts.hostname or port == 0 or f"{parts.scheme}://{parts.netloc}" != text.lower() or set("*@") & set(host):
        raise SettingsError(f"{text!r} is not an origin. One looks like https://app.example.com; * stands for all")
    return f"{parts.scheme}://{host}"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_reach(settings: Settings) -> None:
    if not (_is_loopback(settings.host) or settings.api_keys or settings.allow_keyless):
        raise SettingsError(
            f"host {settings.host} is not a loopback address, and there is no API key: everybody who reaches it could "
            "create jobs. Set api_keys (better as SHELFWIRE_API_KEYS than as a flag, which other users can see), use "
            f"{LOOPBACK}, or set allow_keyless where something in front checks the callers"
        )


def _check_database(database: str | None) -> None:
    if database is not None:
        scheme = database.split(":", 1)[0]
        raise SettingsError(
            f"database {scheme}://… is not supported yet. Leave it unset: jobs are kept in SQLite in the data folder"
        )
