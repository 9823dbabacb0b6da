"""`shelfwire keys`: API keys with roles, in the file that a server reads them from."""

import os
import sys
from datetime import date
from pathlib import Path
from typing import Literal

from shelfwire.cli.errors import CommandError, Exit
from shelfwire.cli.extensions import gather
from shelfwire.protocol.tokens import TOKEN_BYTES
from shelfwire.settings import SettingsError
from shelfwire.web.keys import Key, Role, changing_keys, check_key, digest_of, new_key, read_keys


def new(
    name: str = "",
    *,
    role: Literal["create", "work", "admin:read", "admin"],
    pipelines: str | None = None,
    create_limit: int | None = None,
    expires: str = "",
    data: Path | None = None,
    config: Path | None = None,
) -> int:
    """Make an API key, and print it: only its digest is kept.

    Args:
        name: What people know it by; its role, with a number, unless given.
        role: What its holder may do: create, work, admin:read or admin.
        pipelines: The only pipelines that it is for, separated by commas; not for operators.
        create_limit: Jobs a minute that its holder may create; 0 is no limit.
        expires: The day from which it is not valid any more, such as 2030-01-31.
        data: The data folder of the server.
        config: The server's TOML file with settings.
    """
    path = _path(data, config)
    kind = Role(role)
    secret = new_key(kind, os.urandom(TOKEN_BYTES))
    key = Key(
        role=kind,
        digest=digest_of(secret),
        pipelines=None if pipelines is None else tuple(part.strip() for part in pipelines.split(",")),
        create_limit=create_limit,
        expires=_date(expires),
    )
    try:
        with changing_keys(path) as keys:
            name = name or next(free for n in range(1, len(keys) + 2) if (free := f"{kind.slug}-{n}") not in keys)
            if name in keys:
                raise CommandError(f"There is a key named {name}. Give another name, or revoke that one first")
            check_key(name, key)
            keys[name] = key
    except SettingsError as error:
        raise CommandError(str(error)) from None
    sys.stdout.write(secret + "\n")
    sys.stdout.flush()
    sys.stderr.write(f"The key {name} is shown only now; its digest is in {path}\n")
    return Exit.OK


def listed(*, data: Path | None = None, config: Path | None = None) -> int:
    """List the API keys by name, without their secrets.

    Args:
        data: The data folder of the server.
        config: The server's TOML file with settings.
    """
    for name, key in sorted(_read(_path(data, config)).items()):
        limits = [
            *([] if key.pipelines is None else [f"for {', '.join(key.pipelines)}"]),
            *([] if key.create_limit is None else [f"{key.create_limit} jobs a minute"]),
            *([] if key.expires is None else [f"until {key.expires}"]),
        ]
        sys.stdout.write("  ".join([name, key.role, *limits]) + "\n")
    return Exit.OK


def revoke(name: str, *, data: Path | None = None, config: Path | None = None) -> int:
    """Erase an API key. A running server refuses it within a second.

    Args:
        name: Its name.
        data: The data folder of the server.
        config: The server's TOML file with settings.
    """
    path = _path(data, config)
    if name not in _read(path):
        raise CommandError(f"There is no key named {name} in {path}. See them with: shelfwire keys list")
    with changing_keys(path) as keys:
        keys.pop(name, None)
    return Exit.OK


def _path(data: Path | None, config: Path | None) -> Path:
    return gather({"data": data, "config": config}, os.environ).keys_path


def _read(path: Path) -> dict[str, Key]:
    try:
        return read_keys(path)
    except SettingsError as error:
        raise CommandError(str(error)) from None


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise CommandError(f"{text!r} is no day. Write it as 2030-01-31") from None
