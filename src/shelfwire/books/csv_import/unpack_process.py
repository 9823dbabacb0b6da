"""A process that takes one list out of a workbook or an archive: `python -m shelfwire.books.csv_import.unpack_process`.

It isolates the server from files that crash a reader, or make it exhaust memory or time. The container comes on the
standard input; the answer is a line of JSON, an `unpacking.Answer`, and after it the list.
"""

import os
import resource
import sys
from typing import Final

import msgspec

from shelfwire.books.csv_import.problems import UnreadableCsv
from shelfwire.books.csv_import.unpacking import Answer

MAX_ADDRESS_BYTES: Final = 2 * 1024**3
"""Address space of the process; the largest list that is taken needs a third of it."""
MAX_CPU_SECONDS: Final = 60
NICENESS: Final = 5
"""The server has precedence."""


def main() -> None:
    """Read the standard input, answer on the standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_ADDRESS_BYTES, MAX_ADDRESS_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_SECONDS, MAX_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.nice(NICENESS)
    from shelfwire.books.csv_import.containers import unpack  # noqa: PLC0415 - under the limits from here on

    content = b""
    try:
        content, note = unpack(sys.stdin.buffer.read())
        answer = Answer(note)
    except UnreadableCsv as error:
        answer = Answer(problem=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    sys.stdout.buffer.write(content)


if __name__ == "__main__":
    main()
