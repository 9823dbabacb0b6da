"""Logging of the process: structured, one line for each event, without secrets."""

import logging
import re
import sys
from contextlib import suppress
from typing import Final, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor

QUERY: Final = re.compile(r"\?[^\s\"'<>=?]*+=[^\s\"'<>]*+")
"""Without a way back: a path of many question marks would otherwise take the square of its length."""
UVICORN_NOISE: Final = "ASGI callable returned without completing handshake."
"""uvicorn 0.54 logs this as an error after every refused handshake that was answered in full."""


def quiet_logs(level: int = logging.INFO) -> None:
    """Set up logging to standard error: structured, one line an event, no query string and so no token anywhere."""
    chain: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _without_queries,
    ]
    render = structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False)
    structlog.configure(
        processors=[*chain, render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, _Expendable(sys.stderr))),
    )
    forget = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    others = logging.StreamHandler(sys.stderr)
    others.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=chain, processors=[forget, render]))
    logging.basicConfig(level=logging.WARNING, handlers=[others])
    logging.getLogger("uvicorn.error").addFilter(lambda record: record.getMessage() != UVICORN_NOISE)


class _Expendable:
    """A file whose lines may be lost: a log on a full disk, or a closed one, must not break what it reports on."""

    LOST = (OSError, ValueError)

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> None:
        with suppress(*self.LOST):
            self._file.write(text)

    def flush(self) -> None:
        with suppress(*self.LOST):
            self._file.flush()


def _without_queries(_: object, __: str, event: EventDict) -> EventDict:
    """Cut the query off every URL, wherever a library's message or an exception's text quotes one."""
    return {key: QUERY.sub("?…", value) if isinstance(value, str) else value for key, value in event.items()}
