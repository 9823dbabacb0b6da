"""The command line, but a build sends itself a signal, the first argument, once it has put down what it read first."""

import os
import sys
from typing import Any

from shelfwire.books.catalogue.stage import Stage
from shelfwire.cli import main

put = Stage.put


def put_and_signal(*words: Any, **options: Any) -> None:
    """Put it down, and be sent the signal."""
    put(*words, **options)
    os.kill(os.getpid(), int(sys.argv[1]))


if __name__ == "__main__":
    Stage.put = put_and_signal  # type: ignore[method-assign]
    sys.exit(main(sys.argv[2:]))
