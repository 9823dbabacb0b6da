"""Keeps room on the disk of a data folder, so that a store which has filled it can still be emptied.

SQLite appends every change to its write-ahead log, those that erase as well, and moves the log into the database later,
which makes that grow: on a full disk nothing can be erased. So

- a file in the folder, the reserve, holds room that no other program can take. It is given up when something is to be
  erased and the disk is full, and a little of it when the store is opened then, which is put back when it is closed. It
  is made again when there is room for it twice.
- the database grows only while as much as the reserve is free beside it. After that new data take the pages that were
  erased. What is left is for the log.
- the log is moved into the database before it reaches half of that, so that it and the growth of the database fit in.
"""

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

FILE_NAME: Final = "reserve"
MAX_BYTES: Final = 64 * 1024 * 1024
"""Twice what the log has before it is moved where the disk is large (`CHECKPOINT_PAGES` of 4 KiB)."""
OPENING_BYTES: Final = 256 * 1024
"""What SQLite has for its log, and the index of that, when a store is opened on a full disk."""
SHARE: Final = 8
"""Of a small disk, the reserve takes an eighth."""
CHECKPOINT_PAGES: Final = 8000
"""Pages of 4 KiB in the log before a checkpoint: pages that many commits rewrite reach the database file once."""
MIN_CHECKPOINT_PAGES: Final = 16
PAGE_BYTES: Final = 4096
NOT_SUPPORTED: Final = frozenset({errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS})
"""Errors of file systems that cannot allocate blocks without writing them."""


class DiskRoom:
    """The room on the disk of a data folder. Its methods ask the system, which takes microseconds.

    Args:
        folder: the data folder, which exists when the methods are called.

    Attributes:
        size: bytes of the reserve, once `measure` was called.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / FILE_NAME
        self.size = MAX_BYTES

    @property
    def checkpoint_pages(self) -> int:
        """The number of pages in the log at which it is moved into the database."""
        return max(MIN_CHECKPOINT_PAGES, min(CHECKPOINT_PAGES, self.size // 2 // PAGE_BYTES))

    def measure(self) -> None:
        """Choose the size of the reserve by that of the disk.

        Raises:
            OSError: the folder cannot be looked at.
        """
        self.size = min(MAX_BYTES, shutil.disk_usage(self._folder).total // SHARE)

    def free(self) -> int:
        """Return the bytes that are free beside the reserve; none where the folder is gone."""
        try:
            return shutil.disk_usage(self._folder).free
        except OSError:
            return 0

    def is_tight(self) -> bool:
        """Whether the database may not grow any more."""
        return self.free() + self._held() < 2 * self.size

    def give_up(self, size: int | None = None) -> bool:
        """Free the room that is kept, or some of it, and return whether there was any."""
        try:
            if size is None or size >= (held := self._held()):
                self._path.unlink()
            else:
                os.truncate(self._path, held - size)
        except OSError:
            return False
        return True

    def restore(self) -> None:
        """Make the reserve if it is missing and there is room for it twice."""
        if self._held() >= self.size or self.is_tight():
            return
        self._make(self.size)

    def keep(self, freed: int) -> None:
        """Add what the store itself has freed to the reserve, unless that is whole or there is room for it."""
        held = self._held()
        if held < self.size and self.is_tight():
            with suppress(OSError):
                self._make(min(self.size, held + min(freed, self.free())))

    def _make(self, size: int) -> None:
        held = self._held()
        descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            _allocate(descriptor, size)
        except OSError:
            self.give_up(self._held() - held)
            raise
        finally:
            os.close(descriptor)

    def _held(self) -> int:
        with suppress(OSError):
            return self._path.stat().st_size
        return 0


def _allocate(descriptor: int, size: int) -> None:
    """Give a file that is empty, or has them up to its size, blocks of its own on the disk."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
        except OSError as error:
            if error.errno not in NOT_SUPPORTED:
                raise
        else:
            return
    part = bytes(1024 * 1024)
    for at in range(0, size, len(part)):
        os.write(descriptor, part[: size - at])
