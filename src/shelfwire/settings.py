"""Every setting, once: its name, default and meaning. The environment is read here and nowhere else.

A setting may come as a flag, as an environment variable (`SHELFWIRE_` and the name in capitals) or as a key of a TOML
file; the first of these that gives it wins. Plug-ins add sections: structs of their own, whose fields are settings in
the same three ways.
"""

import base64
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar, get_origin

import msgspec
import platformdirs
from msgspec import Meta

from shelfwire.addresses import callback_host_of, host_of, is_loopback, network_of, origin_of, root_path_of
from shelfwire.protocol.messages import MAX_INLINE_BYTES
from shelfwire.protocol.reports import PIPELINE_PATTERN

PREFIX: Final = "SHELFWIRE_"
CONFIG_VARIABLE: Final = "SHELFWIRE_CONFIG"

MIN_KEY_CHARS: Final = 16
SIGNING_PREFIX: Final = "whsec_"
SIGNING_BYTES: Final = (24, 64)
"""From and to; https://github.com/standard-webhooks/standard-webhooks, "Signature scheme"."""
KEYS_NAME: Final = "keys.toml"
LOOPBACK: Final = "127.0.0.1"
SECTIONS: Final = "sections"
"""The member of `Settings` that is no setting itself."""
RESERVED: Final = (SECTIONS, "config", "json", "help", "version")
"""The names that no setting may have, since `shelfwire serve` has flags of these names."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")

TEXTUAL: Final = (
    msgspec.inspect.NoneType,
    msgspec.inspect.BoolType,
    msgspec.inspect.IntType,
    msgspec.inspect.FloatType,
    msgspec.inspect.StrType,
    msgspec.inspect.EnumType,
    msgspec.inspect.LiteralType,
    msgspec.inspect.DecimalType,
    msgspec.inspect.UUIDType,
    msgspec.inspect.DateType,
    msgspec.inspect.TimeType,
    msgspec.inspect.DateTimeType,
    msgspec.inspect.TimeDeltaType,
)

_FORMS: Final[Mapping[str, Callable[[str], str]]] = {
    "origins": origin_of,
    "trusted_proxies": network_of,
    "allowed_hosts": host_of,
    "callback_hosts": callback_host_of,
}
"""Settings that are lists of names, and what brings each name into the form in which it is compared."""

T = TypeVar("T", bound=msgspec.Struct)


class SettingsError(ValueError):
    """A setting has a value that cannot be used. The text names the setting, where it came from and what is wrong."""


DATABASE_SCHEMES: Final = ("postgresql://", "postgres://")
OFF: Final = "off"
MIN_SHARED_LEASE: Final = 0.5
"""Seconds below which a database that is busy for a moment would cost workers their jobs."""


class Secret:
    """A text that is never printed, formatted or logged."""

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
        sections: the settings of plug-ins, a struct each; what is not here has its defaults.
    """

    host: Annotated[str, Meta(description="The address to listen on; any but a loopback address needs an API key.")] = (
        LOOPBACK
    )
    port: Annotated[int, Meta(ge=0, le=65535, description="The port; 0 takes a free one.")] = 8787
    data: Annotated[Path, Meta(description="The data folder.")] = msgspec.field(default_factory=default_data)
    database: Annotated[
        Secret | None,
        Meta(
            description=(
                "The URL of a PostgreSQL database, postgresql://…, that any number of processes share; unset keeps "
                "SQLite in the data folder. Better as a variable than as a flag, which other users can see."
            )
        ),
    ] = None
    database_listen: Annotated[
        Secret | None,
        Meta(
            description=(
                "The URL of the same database without a pooler between, to hear at once what other processes change; "
                "off reads again every 250 ms instead."
            )
        ),
    ] = None
    database_pool: Annotated[
        int,
        Meta(ge=2, le=100, description="The most connections to the database that requests use, beside four others."),
    ] = 4
    node: Annotated[
        Annotated[str, Meta(max_length=40, pattern="^[!-~]+$")] | None,
        Meta(description="The name of this process, where several share a database; unset for its host and 4 digits."),
    ] = None
    flush_interval: Annotated[
        float, Meta(ge=0, le=10, description="Seconds between two commits of progress; 0 commits every change.")
    ] = 0.05
    lease: Annotated[float, Meta(ge=0.1, le=3600, description="Seconds a worker holds a job without renewing.")] = 1.5
    token_ttl: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="Seconds a token lasts; unset for as long as its job.")
    ] = None
    job_ttl: Annotated[int, Meta(ge=1, description="Seconds an ended job is kept.")] = 86400
    workers: Annotated[int, Meta(ge=1, le=1000, description="Jobs at once on this node: its slots.")] = 6
    pipeline_slots: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "The most slots of single pipelines, such as csv_import=4 ai_scan=2; one that is not named has its own "
                "default, and leaves a slot to each of the others."
            )
        ),
    ] = ()
    api_keys: Annotated[
        tuple[Secret, ...],
        Meta(
            description=(
                "API keys that authorize creating jobs, separated by commas or spaces, 16 characters or "
                "more each; unset for everyone."
            )
        ),
    ] = ()
    allow_keyless: Annotated[
        bool,
        Meta(description=("Listen beyond loopback without an API key, as behind a proxy that checks its callers.")),
    ] = False
    create_limit: Annotated[
        int, Meta(ge=0, le=1000, description="Jobs a minute that each caller may create; 0 is no limit.")
    ] = 10
    origins: Annotated[
        tuple[str, ...],
        Meta(description=("Websites whose scripts may use the server, such as https://app.example.com, or * for all.")),
    ] = ()
    pages: Annotated[
        Literal["off", "reader", "all"],
        Meta(
            description=(
                "The pages that the server shows to browsers: off, reader (at /), or all (with /admin, once there is a "
                "key for operators). An application that shelfwire is mounted into shows none."
            )
        ),
    ] = "all"
    root_path: Annotated[
        str,
        Meta(
            description=(
                "The path below which a proxy has the server, such as /jobs, where it cuts it off requests; "
                "X-Forwarded-Prefix of a trusted proxy goes before it."
            )
        ),
    ] = ""
    trusted_proxies: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Addresses or networks of proxies, such as 127.0.0.1 or 10.0.0.0/8, whose X-Forwarded-For, -Proto, "
                "-Host and -Prefix count; unset for none."
            )
        ),
    ] = ()
    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Host names that the server answers for beside loopback names, such as books.example.com, or * for "
                "all; unset for loopback names alone on a loopback address, and for all on any other."
            )
        ),
    ] = ()
    stall_after: Annotated[
        float,
        Meta(ge=0, description=("Seconds without an item after which a running job is shown as stalled; 0 is never.")),
    ] = 60.0
    max_followers: Annotated[
        int, Meta(ge=1, description="Followers at once on this node, whatever their transport.")
    ] = 10_000
    connections_per_address: Annotated[
        Annotated[int, Meta(ge=0)] | None,
        Meta(
            description=(
                "Connections at once from one address, or from the /64 of an IPv6 address; trusted proxies may have "
                "any number. 0 is no limit; unset is 1,000, or half of all if that is less, and no limit for loopback."
            )
        ),
    ] = None
    log_followers: Annotated[
        Literal["left", "both", "off"],
        Meta(description="Lines of the log for each follower: left when it leaves, both also when it comes, or off."),
    ] = "left"
    fast: Annotated[
        bool, Meta(description="Whether followers are served straight from their connections, which costs far less.")
    ] = True
    max_upload: Annotated[int, Meta(ge=1, description="Bytes of all inputs of a job.")] = 10 * 1024 * 1024
    upload_timeout: Annotated[
        float, Meta(gt=0, description="Seconds without a byte after which an upload is given up.")
    ] = 30.0
    upload_deadline: Annotated[float, Meta(gt=0, description="Seconds within which a whole upload must arrive.")] = (
        900.0
    )
    upload_rate: Annotated[
        int,
        Meta(ge=0, description="Bytes a second that an upload must make on average, after upload_timeout; 0 is none."),
    ] = 1024
    keep_alive: Annotated[float, Meta(gt=0, le=3600, description="Seconds that an idle connection is kept open.")] = 75
    inline_results: Annotated[
        int,
        Meta(ge=1024, le=MAX_INLINE_BYTES, description="Bytes of results in a terminal message; the rest is paged."),
    ] = 768 * 1024
    remote_pipelines: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Pipelines whose workers are elsewhere and that jobs can be created for, by name, or * for all; unset "
                "for all where this machine alone creates them, without API keys, and else for none."
            )
        ),
    ] = ()
    worker_lost_after: Annotated[
        int,
        Meta(ge=1, description="Seconds without a worker after which a job fails that its worker elsewhere created."),
    ] = 900
    keys_file: Annotated[
        Path | None,
        Meta(
            description=(
                "The file with API keys of roles, which shelfwire keys writes; unset for keys.toml in the data folder."
            )
        ),
    ] = None
    callback_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description=(
                "Hosts that may be called when a job ends, such as hooks.example.com by https, or hooks.internal:8080 "
                "with a port to allow a private address and http; unset for none."
            )
        ),
    ] = ()
    callback_secrets: Annotated[
        tuple[Secret, ...],
        Meta(
            description=(
                "What those calls are signed with: whsec_ and base64 of 24 to 64 random bytes each; several while one "
                "takes the place of another."
            )
        ),
    ] = ()
    sections: tuple[Any, ...] = ()

    @property
    def keys_path(self) -> Path:
        """The file with API keys of roles, which need not exist."""
        return self.data / KEYS_NAME if self.keys_file is None else self.keys_file

    @property
    def has_keys(self) -> bool:
        """Whether callers need an API key."""
        return bool(self.api_keys) or os.path.exists(self.keys_path)  # noqa: PTH110 - pathlib's raises for some names

    @property
    def remote_names(self) -> frozenset[str] | None:
        """The names of remote pipelines that everybody can create jobs of; None for any."""
        return None if "*" in self.remote_pipelines else frozenset(self.remote_pipelines)

    def section(self, kind: type[T]) -> T:
        """Return the settings of a plug-in.

        Args:
            kind: the struct that it declares.
        """
        return next((section for section in self.sections if isinstance(section, kind)), None) or kind()


class Field(NamedTuple):
    """One setting.

    Attributes:
        name: its name.
        kind: its type, without what is said about it.
        description: what it means, as a sentence.
        default: its value unless it is given; None where that is not a constant.
        variables: the environment variables it may come as; the first that is there wins.
        struct: where it is declared.
    """

    name: str
    kind: Any
    description: str
    default: Any
    variables: Sequence[str]
    struct: type[msgspec.Struct]

    @property
    def flag(self) -> str:
        """The flag of the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def is_list(self) -> bool:
        """Whether it holds several values; as one text these are separated by commas or spaces."""
        return get_origin(self.kind) is tuple


def fields(sections: Iterable[type[msgspec.Struct]] = ()) -> list[Field]:
    """List all settings: the server's own, then those of the sections."""
    return [_field(struct, one) for struct in _structs(sections) for one in _own_fields(struct)]


def check_sections(sections: Iterable[tuple[str, type[msgspec.Struct]]]) -> None:
    """Check what plug-ins declare as their settings.

    Args:
        sections: the name of each plug-in that has settings, and the struct with them.

    Raises:
        SettingsError: a setting has no default, no description or no type that a text can have, or its name is taken.
    """
    owners = dict.fromkeys(RESERVED, "the command line")
    named = [(f"the plug-in {name!r}", struct) for name, struct in sections]
    own: tuple[str, type[msgspec.Struct]] = ("shelfwire itself", Settings)
    for owner, struct in [own, *named]:
        for one in msgspec.structs.fields(struct):
            if struct is Settings and one.name == SECTIONS:
                continue
            what = f"The setting {one.name!r} of {owner}"
            field = _field(struct, one)
            if one.required:
                raise SettingsError(f"{what} has no default. Give it one: every setting may be left out")
            if not field.description:
                raise SettingsError(f"{what} has no description. Write: Annotated[…, Meta(description=…)]")
            if one.name != one.encode_name or not _NAME.fullmatch(one.name):
                raise SettingsError(f"{what} is named {one.encode_name!r}. Use a-z, 0-9 and _, and no rename=")
            if not _is_textual(msgspec.inspect.type_info(one.type)):
                raise SettingsError(f"{what} has a type that no text can be. Use a text, number, path or tuple of them")
            for taken in (one.name, *field.variables):
                if taken in owners:
                    raise SettingsError(f"{what} has the name {taken}, and so has {owners[taken]}. Rename it")
                owners[taken] = owner


def load(
    flags: Mapping[str, Any], environ: Mapping[str, str], sections: Sequence[type[msgspec.Struct]] = ()
) -> Settings:
    """Gather the settings of a process.

    Args:
        flags: by setting; None where a flag was not given. `config` names a TOML file.
        environ: the environment.
        sections: the settings of plug-ins, see `check_sections`.

    Raises:
        SettingsError: a value cannot be used, a file cannot be read or holds an unknown key.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    path = given.pop("config", None) or environ.get(CONFIG_VARIABLE)
    known = {field.name: field for field in fields(sections)}
    values: dict[str, Any] = {}
    if path is not None:
        for key, value in _read_toml(Path(path)).items():
            _take(values, key.replace("-", "_"), value, f"{path}: {key}", known)
    for name, field in sorted(known.items()):
        for variable in reversed(field.variables):
            if variable in environ:
                _take(values, name, environ[variable], variable, known)
    for name, value in given.items():
        _take(values, name, value, "--" + name.replace("_", "-"), known)
    own = {name: value for name, value in values.items() if known[name].struct is Settings}
    made = [kind(**{name: value for name, value in values.items() if known[name].struct is kind}) for kind in sections]
    settings = Settings(**own, sections=tuple(made))
    _check_reach(settings)
    check_database(settings)
    check_callbacks(settings)
    return settings


def _structs(sections: Iterable[type[msgspec.Struct]]) -> list[type[msgspec.Struct]]:
    return [Settings, *sections]


def _own_fields(struct: type[msgspec.Struct]) -> list[msgspec.structs.FieldInfo]:
    return [field for field in msgspec.structs.fields(struct) if field.name != SECTIONS]


def _field(struct: type[msgspec.Struct], field: msgspec.structs.FieldInfo) -> Field:
    meta = _meta(field.type)
    kind = field.type.__origin__ if get_origin(field.type) is Annotated else field.type
    variables = PREFIX + field.name.upper(), *(meta.extra or {}).get("variables", ())
    default = None if field.default is msgspec.NODEFAULT else field.default
    return Field(field.name, kind, meta.description or "", default, variables, struct)


def _meta(kind: Any) -> msgspec.Meta:
    found: msgspec.Meta = next(iter(getattr(kind, "__metadata__", ())), Meta())
    return found


def _is_textual(info: msgspec.inspect.Type) -> bool:
    """Whether a value of a type can be written as one text, or a tuple of values as several."""
    match info:
        case msgspec.inspect.Metadata(type=kind) | msgspec.inspect.VarTupleType(item_type=kind):
            return _is_textual(kind)
        case msgspec.inspect.UnionType(types=kinds):
            return all(map(_is_textual, kinds))
        case msgspec.inspect.CustomType(cls=kind):
            return kind in {Path, Secret}
        case _:
            return isinstance(info, TEXTUAL)


def _take(values: dict[str, Any], name: str, value: Any, source: str, known: Mapping[str, Field]) -> None:
    if name not in known:
        raise SettingsError(f"{source} is not a setting. The settings are: {', '.join(sorted(known))}")
    if known[name].is_list and isinstance(value, str):
        value = [element for element in re.split(r"[,\s]+", value) if element]
    try:
        made = msgspec.convert({name: value}, known[name].struct, strict=False, dec_hook=_custom)
        values[name] = _checked(name, getattr(made, name))
    except (msgspec.ValidationError, ValueError) as error:
        raise SettingsError(f"{source}: {str(error).split(' - at')[0]}") from None


def _custom(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return _path(value)
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    return value


def _path(text: str) -> Path:
    if not text.strip() or "\0" in text:
        raise SettingsError(f"{text!r} is no name of a file or folder. Leave the setting out, or give it one")
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
    if name in _FORMS:
        return tuple(map(_FORMS[name], value))
    match name:
        case "api_keys":
            for number, key in enumerate(value, 1):
                _check_key(number, key.reveal())
        case "pipeline_slots":
            slots_of(value)
        case "root_path":
            return root_path_of(value)
        case "callback_secrets":
            for number, secret in enumerate(value, 1):
                _check_callback_secret(number, secret.reveal())
        case "remote_pipelines":
            for pipeline in value:
                _check_pipeline_name(pipeline)
    return value


def slots_of(limits: Iterable[str]) -> dict[str, int]:
    """Read the setting `pipeline_slots`: the slots by pipeline.

    Raises:
        SettingsError: one is not a name and a number, or a pipeline is named twice.
    """
    slots: dict[str, int] = {}
    for limit in limits:
        match = re.fullmatch(r"([a-z][a-z0-9_]*)=([1-9][0-9]{0,3})", limit)
        if match is None:
            raise SettingsError(f"{limit!r} is no pipeline with a number of slots from 1. Write it as csv_import=4")
        if match[1] in slots:
            raise SettingsError(f"the pipeline {match[1]} has two numbers of slots. Give it one")
        slots[match[1]] = int(match[2])
    return slots


def _check_key(number: int, key: str) -> None:
    if len(key) < MIN_KEY_CHARS:
        raise SettingsError(
            f"API key {number} has {len(key)} characters and needs {MIN_KEY_CHARS} at least. "
            "Make one with: openssl rand -base64 32"
        )
    if not re.fullmatch(r"[!-~]+", key):
        raise SettingsError(f"API key {number} has a space or a letter beyond ASCII in it, which no header can carry")


def _check_callback_secret(number: int, secret: str) -> None:
    prefix, least, most = SIGNING_PREFIX, *SIGNING_BYTES
    try:
        size = len(base64.b64decode(secret.removeprefix(prefix), validate=True))
    except ValueError:
        size = 0
    if not secret.startswith(prefix) or not least <= size <= most:
        raise SettingsError(
            f"callback secret {number} is not {prefix} and base64 of {least} to {most} bytes. "
            f'Make one with: echo "{prefix}$(openssl rand -base64 32)"'
        )


def _check_pipeline_name(name: str) -> None:
    if name != "*" and not re.fullmatch(PIPELINE_PATTERN, name):
        raise SettingsError(f"{name!r} is no name of a pipeline: up to 64 of a-z, 0-9 and _, beginning with a letter")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None


def _check_reach(settings: Settings) -> None:
    if not (is_loopback(settings.host) or settings.has_keys or settings.allow_keyless):
        raise SettingsError(
            f"host {settings.host} is not a loopback address, and there is no API key: everybody who reaches it could "
            "create jobs. Set api_keys (better as SHELFWIRE_API_KEYS than as a flag, which other users can see), use "
            f"{LOOPBACK}, or set allow_keyless where something in front checks the callers"
        )


def check_callbacks(settings: Settings) -> None:
    """Check that calls can be signed.

    Raises:
        SettingsError: hosts may be called, and there is no secret.
    """
    if settings.callback_hosts and not settings.callback_secrets:
        raise SettingsError(
            "callback_hosts is set and callback_secrets is not: nothing is sent unsigned. "
            f'Make a secret with: echo "{SIGNING_PREFIX}$(openssl rand -base64 32)"'
        )


def check_database(settings: Settings) -> None:
    """Check what is said of the database, as far as that can be seen without it.

    Raises:
        SettingsError: a URL is of another kind of database, or leases are too short for one. It shows no URL.
    """
    if settings.database is None:
        return
    urls = {"database": settings.database.reveal()}
    if settings.database_listen is not None and settings.database_listen.reveal() != OFF:
        urls["database_listen"] = settings.database_listen.reveal()
    for name, url in urls.items():
        if not url.startswith(DATABASE_SCHEMES):
            raise SettingsError(
                f"{name} is not the URL of a PostgreSQL database. It looks like "
                "postgresql://user:password@host:5432/name; leave it unset to keep jobs in SQLite in the data folder"
            )
    if settings.lease < MIN_SHARED_LEASE:
        raise SettingsError(
            f"lease is {settings.lease:g} seconds, and with a database it must be {MIN_SHARED_LEASE:g} at least"
        )
