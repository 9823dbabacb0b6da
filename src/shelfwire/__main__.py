"""`python -m shelfwire` is the command `shelfwire`."""

import os
import signal
import sys
from typing import Final

MIN_OPEN_FILES: Final = 64
"""What a command that starts a server opens at once, with room to spare. With less, imports already fail."""
USAGE: Final = 2
"""See `shelfwire.cli.errors.Exit`, which costs more files than there may be."""


def main() -> int:
    """Run the command."""
    limit = _open_files_limit()
    if limit < MIN_OPEN_FILES:
        sys.stderr.write(
            f"shelfwire: This process may have only {limit} files open at a time, and needs {MIN_OPEN_FILES}. Allow "
            "more, such as with: ulimit -n 1024\n"
        )
        return USAGE
    _stop_at_once()
    # Processes that the command starts import this file too, and need nothing of the command line.
    from shelfwire.cli import main as command  # noqa: PLC0415

    if not _is_server() and signal.getsignal(signal.SIGINT) is _stop:
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a command may have something to tidy up
    return command()


def _is_server() -> bool:
    return sys.argv[1:2] == ["serve"]


def _stop_at_once() -> None:
    """Have signals end the process on the spot, until `shelfwire.cli.running` takes them over: nothing has begun.

    While modules are imported, an exception in their midst would be shown with a traceback, or lost.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(number: int, _frame: object) -> None:
    os._exit(0 if _is_server() else 128 + number)


def _open_files_limit() -> int:
    """Return the number of files that this process may have open, once it is raised if that is too few."""
    if sys.platform == "win32":
        return MIN_OPEN_FILES
    import resource  # noqa: PLC0415 - not on every platform

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= soft < MIN_OPEN_FILES and not 0 <= hard < MIN_OPEN_FILES:  # negative is infinity
        resource.setrlimit(resource.RLIMIT_NOFILE, (MIN_OPEN_FILES, hard))
        return MIN_OPEN_FILES
    return soft if soft >= 0 else MIN_OPEN_FILES


if __name__ == "__main__":
    sys.exit(main())
