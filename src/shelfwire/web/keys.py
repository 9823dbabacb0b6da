"""API keys with roles: how they look, and the file that they are kept in by name and digest.

A key is 256 random bits, shown to its owner once; only its SHA-256 digest is stored.
"""

import errno
import hashlib
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import msgspec
import structlog
from filelock import FileLock
from msgspec import Meta

from shelfwire.clock import Clock
from shelfwire.protocol.reports import PIPELINE_PATTERN
from shelfwire.protocol.tokens import mint
from shelfwire.settings import SettingsError

CHECK_SECONDS: Final = 1.0
"""How often to look whether the file has changed."""
ABSENT: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
"""Why a file cannot be opened that is not there."""
OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
NAME_PATTERN: Final = "^[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}$"
DIGEST_PREFIX: Final = "sha256:"
HEADER: Final = (
    "# API keys of shelfwire, by name. Written by `shelfwire keys`; a change takes effect within a second.\n"
)

log = structlog.get_logger(__name__)


class Role(StrEnum):
    """What the holder of a key may do."""

    CREATE = "create"
    WORK = "work"
    READ = "admin:read"
    ADMIN = "admin"

    @property
    def slug(self) -> str:
        """The role as a part of a name."""
        return self.value.replace(":", "_")

    def includes(self, other: "Role") -> bool:
        """Whether who has this role may do what the other allows."""
        return other is self or self is Role.ADMIN or (self is Role.WORK and other is Role.CREATE)


class Key(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A key as it is stored.

    Attributes:
        role: what its holder may do.
        digest: `sha256:` and the digest in hexadecimal.
        pipelines: the only pipelines that it is for; None for all.
        create_limit: jobs a minute that its holder may create; None for the server's limit.
        expires: the first day, in UTC, on which it is not valid any more; None for never.
    """

    role: Role
    digest: Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$(?!\n)")]
    pipelines: tuple[Annotated[str, Meta(pattern=PIPELINE_PATTERN)], ...] | None = None
    create_limit: Annotated[int, Meta(ge=0, le=100_000)] | None = None
    expires: date | None = None


def new_key(role: Role, random: bytes) -> str:
    """Make a key of `random`, which must be 32 bytes from a cryptographic source."""
    return f"sw_{role.slug}_{mint(random)}"


def digest_of(key: str) -> str:
    """Return the digest under which a key is stored."""
    return DIGEST_PREFIX + hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def read_keys(path: Path) -> dict[str, Key]:
    """Return the keys in a file, by name; none where there is no file.

    Raises:
        SettingsError: it cannot be used; the text says why and what to do.
    """
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            if found.st_mode & OTHERS or found.st_uid != os.getuid():
                raise SettingsError(f"{path} must belong to this user and be closed to others. Run: chmod 600 {path}")
            document = tomllib.load(file)
    except OSError as error:
        if error.errno in ABSENT:
            return {}
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None
    return {name: _checked(str(path), name, entry) for name, entry in document.items()}


def check_key(name: str, key: Key) -> None:
    """Check what a key is made of, as if it had been read.

    Raises:
        SettingsError: it could not be read.
    """
    _checked("the new key", name, msgspec.to_builtins(key, builtin_types=[date]))


def _checked(where: str, name: str, entry: object) -> Key:
    if not re.fullmatch(NAME_PATTERN, name):
        raise SettingsError(f"{where}: {name!r} is no name of a key: up to 64 letters, digits and . _ @ -")
    try:
        key = msgspec.convert(entry, Key)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{where}: [{name}]: {error}") from None
    if key.pipelines is not None and key.role.includes(Role.READ):
        raise SettingsError(
            f"{where}: [{name}]: pipelines: operators steer the jobs of all. Leave it out, or give the role work"
        )
    return key


@contextmanager
def changing_keys(path: Path) -> Iterator[dict[str, Key]]:
    """Change the keys in a file: what the context leaves in the dictionary is written, for the owner alone to read.

    Raises:
        SettingsError: the file cannot be used as it is, or cannot be written.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock"), mode=0o600):
            keys = read_keys(path)
            yield keys
            _write(path, keys)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}") from None


def _write(path: Path, keys: Mapping[str, Key]) -> None:
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
        file.write(HEADER + "".join(map(_section, keys.items())))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _section(entry: tuple[str, Key]) -> str:
    name, key = entry
    # A string of JSON in ASCII, and a list of such, is one of TOML, too; a date is written as it is.
    values = {
        member: value.isoformat() if isinstance(value, date) else json.dumps(value)
        for member, value in msgspec.structs.asdict(key).items()
        if value is not None
    }
    return "".join([f"\n[{json.dumps(name)}]\n", *(f"{member} = {value}\n" for member, value in values.items())])


class KeyFile:
    """The keys in a file, read again when it changes.

    Once there has been a file, callers need a key for as long as the process lives: one that disappears opens nothing.

    Args:
        path: the file, which need not exist.
        clock: the time.

    Attributes:
        exists: whether there is a file, or was.

    Raises:
        SettingsError: it cannot be used. Later, a file that cannot be used is logged, and the keys stay as they were.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._version = self._identity()
        self._keys = _by_digest(read_keys(path).items())
        self._checked_at = clock.monotonic()
        self.exists = self._version is not None

    def find(self, shown: bytes) -> tuple[str, Key] | None:
        """Return the name and the key of what a caller has shown, by its digest; None if it is none, or has expired."""
        found = self._keys.get(DIGEST_PREFIX + shown.hex())
        if found is None:
            return None
        today = datetime.fromtimestamp(self._clock.now() / 1000, UTC).date()
        return None if found[1].expires is not None and found[1].expires <= today else found

    def has(self, role: Role) -> bool:
        """Whether there is a key, valid or expired, whose holder may do what a role allows."""
        return any(key.role.includes(role) for _, key in self._keys.values())

    def refresh(self) -> None:
        """Read the file again if it has changed; looks once a second at most."""
        now = self._clock.monotonic()
        if now - self._checked_at < CHECK_SECONDS:
            return
        self._checked_at = now
        version = self._identity()
        if version == self._version:
            return
        self._version = version
        self.exists = self.exists or version is not None
        try:
            self._keys = _by_digest(read_keys(self._path).items())
        except SettingsError as error:
            log.error("the API keys cannot be read, and stay as they were", reason=str(error))  # noqa: TRY400
        else:
            log.info("API keys read", keys=len(self._keys))

    def _identity(self) -> tuple[int, ...] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode


def _by_digest(keys: Iterable[tuple[str, Key]]) -> dict[str, tuple[str, Key]]:
    return {key.digest: (name, key) for name, key in keys}
