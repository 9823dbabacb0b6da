"""Every setting, once: its name, default and meaning. The environment is read here and nowhere else.

A setting may come as a flag, as an environment variable (`SHELFWIRE_` and the name in capitals) or as a key of a TOML
file; the first of these that gives it wins.
"""

import ipaddress
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import platformdirs

PREFIX: Final = "SHELFWIRE_"
CONFIG_VARIABLE: Final = "SHELFWIRE_CONFIG"

Positive = Annotated[int, msgspec.Meta(ge=1)]


class SettingsError(ValueError):
    """A setting has a value that cannot be used. The text names the setting, where it came from and what is wrong."""


def default_data() -> Path:
    """The platform's folder for a user's data."""
    return platformdirs.user_data_path("shelfwire", appauthor=False)


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a server runs.

    Attributes:
        host: the address to listen on; only loopback addresses, for there is no key yet that would guard any other.
        port: the port; 0 takes a free one.
        data: the data folder.
        database: a database URL; unset keeps SQLite in the data folder.
        flush_interval: seconds between two commits of progress; 0 commits every change.
        lease: seconds a worker holds a job without renewing.
        token_ttl: seconds a token lasts; unset for as long as its job.
        job_ttl: seconds an ended job is kept.
        workers: jobs at once on this node.
        max_followers: sockets at once on this node.
        max_upload: bytes of an uploaded CSV file.
        upload_timeout: seconds without a byte after which an upload is given up.
        inline_results: bytes of results in a terminal message; the rest is paged.
    """

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8787
    data: Path = msgspec.field(default_factory=default_data)
    database: str | None = None
    flush_interval: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.05
    lease: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = 1.5
    token_ttl: Positive | None = None
    job_ttl: Positive = 86400
    workers: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 4
    max_followers: Positive = 10_000
    max_upload: Positive = 10 * 1024 * 1024
    upload_timeout: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    inline_results: Annotated[int, msgspec.Meta(ge=1024, le=1000 * 1024)] = 768 * 1024


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
        variable = PREFIX + name.upper()
        if variable in environ:
            _take(values, name, environ[variable], variable, names)
    for name, value in given.items():
        _take(values, name, value, "--" + name.replace("_", "-"), names)
    settings = msgspec.convert(values, Settings)
    _check_host(settings.host)
    _check_database(settings.database)
    return settings


def _take(values: dict[str, Any], name: str, value: Any, source: str, names: set[str]) -> None:
    if name not in names:
        raise SettingsError(f"{source} is not a setting. The settings are: {', '.join(sorted(names))}")
    try:
        settings = msgspec.convert({name: value}, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{source}: {str(error).split(' - at')[0]}") from None
    values[name] = getattr(settings, name)


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser()
    return value


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None


def _check_host(host: str) -> None:
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise SettingsError(
            f"host {host} is not a loopback address. Without API keys shelfwire listens only on this machine; use "
            "127.0.0.1 and put a proxy that checks its callers in front"
        )


def _check_database(database: str | None) -> None:
    if database is not None:
        scheme = database.split(":", 1)[0]
        raise SettingsError(
            f"database {scheme}://… is not supported yet. Leave it unset: jobs are kept in SQLite in the data folder"
        )
