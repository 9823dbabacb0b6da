"""A small disk that is really full."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

DISK_BYTES = 16 * 1024 * 1024
CHUNK = bytes(64 * 1024)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a file system of 16 MiB in memory; the test is skipped where that is not permitted."""
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None:
        pytest.skip("there is no command to mount a file system")
    words = [mount, "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    mounted = subprocess.run(words, check=False, capture_output=True, text=True)  # noqa: S603 - our own folder
    if mounted.returncode:
        pytest.skip(f"file systems cannot be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([umount, "--lazy", str(folder)], check=True)  # noqa: S603 - likewise


def fill(disk: Path, name: str = "of another program") -> Path:
    """Take all that is left, as another program does, to the last byte."""
    path = disk / name
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    size = len(CHUNK)
    while size:
        try:
            os.write(descriptor, CHUNK[:size])
        except OSError:
            size //= 2
    os.close(descriptor)
    return path
