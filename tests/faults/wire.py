"""Listens to the raw bytes between a server and one follower, and believes nothing."""

import json
import re
from collections import Counter
from typing import Any, Final

import msgspec

from shelfwire.protocol.messages import Message, UndecodableError, decode
from shelfwire.web.events import ERROR_EVENT, ERROR_TYPE
from tests.faults.pieces import ENDED, Kind, Piece
from tests.faults.proxy import Link
from tests.story import IllegalStoryError, Story

SWITCHED: Final = 101
POSITION: Final = re.compile(r"[?&]after=[1-9]|^last-event-id:", re.IGNORECASE | re.MULTILINE)
"""What a client says that was told something before."""
EXPECTED: Final = frozenset({SWITCHED, 200, 204, 304})


class Heard(msgspec.Struct):
    """What was heard on any number of wires.

    Attributes:
        statuses: answers, by HTTP status.
        messages: messages, by the way they came.
        bytes: in them.
        undecodable: messages that are none.
        endings: terminal messages among them.
    """

    statuses: Counter[int] = msgspec.field(default_factory=Counter)
    messages: Counter[str] = msgspec.field(default_factory=Counter)
    bytes: int = 0
    undecodable: int = 0
    endings: int = 0


class Wire:
    """One follower's connections during one job.

    Args:
        heard: takes the figures.

    Attributes:
        endings: the terminal messages, to the byte; all should be one.
    """

    def __init__(self, heard: Heard) -> None:
        self._heard = heard
        self._whole = Story(whole=False, starts=1_000_000)
        self._links: dict[int, Story] = {}
        self.endings: set[str] = set()

    def hear(self, link: Link, piece: Piece) -> None:
        """Take a piece that passed.

        Raises:
            IllegalStoryError: at the first message or answer that breaks a promise.
        """
        if piece.kind is Kind.HEAD:
            self._heard.statuses[piece.status] += 1
            if piece.status not in EXPECTED:
                raise IllegalStoryError(f"the server answered {piece.text!r} to {_redacted(link.request)!r}")
        elif piece.kind in (Kind.MESSAGE, Kind.ENDING):
            self._heard.bytes += len(piece.raw)
            if link.statuses[-1] == SWITCHED:
                self._heard.messages["frame"] += 1
                self._message(link, piece.text)
            elif piece.text.startswith("{"):
                self._heard.messages["state"] += 1
                self._state(_json(piece.text)["data"])
            else:
                for event in piece.text.split("\n\n"):
                    self._event(link, event)

    def _event(self, link: Link, event: str) -> None:
        fields = dict(line.split(": ", 1) for line in event.split("\n") if line and not line.startswith(":"))
        if "data" not in fields:
            return
        self._heard.messages["event"] += 1
        message = self._message(link, fields["data"])
        name = ERROR_EVENT if message.type == ERROR_TYPE else message.type
        if fields.get("event") != name or fields.get("id", str(message.seq)) != str(message.seq):
            raise IllegalStoryError(f"an event {fields['event']!r} {fields.get('id')} with {fields['data'][:200]}")

    def _message(self, link: Link, text: str) -> Message:
        try:
            _json(text)
            message = decode(text)
        except (ValueError, UndecodableError) as error:
            self._heard.undecodable += 1
            raise IllegalStoryError(f"undecodable: {text[:200]!r}") from error
        if not isinstance(message, Message):
            raise IllegalStoryError(f"a message of the unknown type {message.type}")
        fresh = not POSITION.search(link.request)
        self._links.setdefault(link.number, Story(whole=fresh)).hear(message)
        if message.terminal:
            self._heard.endings += 1
            self.endings.add(text)
        else:
            self._whole.hear(message)
        return message

    def _state(self, state: dict[str, Any]) -> None:
        seq, processed = state["seq"], state["processedCount"]
        if seq < self._whole.seq or processed < self._whole.processed:
            raise IllegalStoryError(f"state {seq} with {processed} after {self._whole.seq}, {self._whole.processed}")
        if self.endings and state["status"] not in ENDED:
            raise IllegalStoryError(f"a job that had ended is {state['status']}")
        self._whole.seq, self._whole.processed = seq, processed


class Recoveries(msgspec.Struct):
    """How followers came back.

    Attributes:
        tries: of the cuts that were followed by a return, how many tries each return took. A try that the proxy itself
            prevented does not count.
        unprovoked: sockets that ended before the job's ending without the proxy's doing.
    """

    tries: Counter[int] = msgspec.field(default_factory=Counter)
    unprovoked: int = 0

    def count(self, links: list[Link]) -> None:
        """Take one follower's connections during one job."""
        lost, tries = False, 0
        for link in links:
            if lost and not link.prevented:
                tries += 1
                if link.connected:
                    self.tries[tries] += 1
                    lost, tries = False, 0
            lost = lost or link.struck.is_set()
        sockets = [link for link in links[:-1] if SWITCHED in link.statuses]
        self.unprovoked += sum(not link.struck.is_set() for link in sockets)

    @property
    def soon(self) -> float:
        """The share of returns within two tries."""
        whole = sum(self.tries.values())
        return (self.tries[1] + self.tries[2]) / whole if whole else 1.0


def _json(text: str) -> Any:
    return json.loads(text, parse_float=_no_float)


def _no_float(number: str) -> None:
    raise ValueError(f"{number} is no integer")


def _redacted(request: str) -> str:
    return request.split("\r\n", 1)[0]
