"""What is done to a connection, and when: by script, or at random, where the same seed makes the same plans."""

import random
from enum import StrEnum
from typing import Final

import msgspec

from tests.faults.pieces import Kind, Piece


class Fault(StrEnum):
    """How a connection is harmed."""

    RESET = "reset"
    """Both sides get RST."""
    CLOSE = "close"
    """Both sides get FIN, after what was forwarded already."""
    HALF_TO_CLIENT = "half to client"
    """The client gets FIN and nothing more; what it says still reaches the server."""
    HALF_TO_SERVER = "half to server"
    """The server gets FIN and nothing more; what it says still reaches the client."""
    SILENCE = "silence"
    """Nothing passes in either direction any more, not even the end of the connection."""


class Moment(StrEnum):
    """When it is harmed."""

    ACCEPTED = "accepted"
    """Before the server hears of it."""
    IN_REQUEST = "in request"
    """Within the head of the first request."""
    IN_HEAD = "in head"
    """Within the head of the first answer, that is in the handshake."""
    OPEN = "open"
    """After that head, before any message."""
    BEFORE = "before"
    """Before the message of that number, counted from 0; as for all these, the ending counts."""
    WITHIN = "within"
    """Within it."""
    AFTER = "after"
    """After it."""
    BEFORE_ENDING = "before ending"
    WITHIN_ENDING = "within ending"
    AFTER_ENDING = "after ending"
    """After the terminal message, before the close."""
    IN_SPEECH = "in speech"
    """When the client has said so many bytes after its first request."""


HANDSHAKE: Final = frozenset({Moment.ACCEPTED, Moment.IN_REQUEST, Moment.IN_HEAD})
"""The moments that keep a client from being connected at all."""


HALVES: Final = frozenset({Fault.HALF_TO_CLIENT, Fault.HALF_TO_SERVER})


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What happens to one connection; the default is nothing.

    Attributes:
        fault: how it is harmed at its moment, if it ever comes.
        moment: when.
        number: which message, or how many bytes of speech.
        fraction: how far within a head or message, in [0, 1).
        silence: seconds until a silent connection is reset after all; None is never.
        delay: seconds that everything from the server is late.
        rate: bytes a second from the server.
        refuse: the HTTP status that answers a request to upgrade; nothing reaches the server.
        hold: whether an event stream is held back until it ends.
    """

    fault: Fault | None = None
    moment: Moment = Moment.OPEN
    number: int = 0
    fraction: float = 0.5
    silence: float | None = None
    delay: float = 0.0
    rate: int | None = None
    refuse: int | None = None
    hold: bool = False

    def __post_init__(self) -> None:
        """A half-close needs two halves."""
        assert self.moment is not Moment.ACCEPTED or self.fault not in HALVES, (
            "there is no connection to half-close yet"
        )

    @property
    def prevents(self) -> bool:
        """Whether its fault keeps a client from being connected at all."""
        return self.fault is not None and self.moment in HANDSHAKE

    @property
    def mutes(self) -> bool:
        """Whether its fault may keep a client from hearing even one message."""
        return self.fault is not None and self.moment not in (Moment.AFTER, Moment.AFTER_ENDING)


def random_plan(dice: random.Random, *, silence: float, delay: float, messages: int, speech: int) -> Plan:
    """A plan with a fault.

    Args:
        dice: decides.
        silence: seconds that a silence lasts at most.
        delay: seconds that everything is late at most.
        messages: by message number, the fault comes below this one.
        speech: by what the client says, it comes within so many bytes.
    """
    moment = dice.choice(list(Moment))
    faults = [fault for fault in Fault if moment not in HANDSHAKE or fault not in HALVES]
    return Plan(
        fault=dice.choice(faults),
        moment=moment,
        number=dice.randrange(speech if moment is Moment.IN_SPEECH else messages),
        fraction=dice.random(),
        silence=dice.uniform(0, silence),
        delay=dice.choice((0, 0, dice.uniform(0, delay))),
    )


class Aim:
    """Finds a plan's moment in what the server sends."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._messages = 0
        self._opened = False

    @property
    def in_speech(self) -> bool:
        """Whether the fault comes by what the client says."""
        return self._plan.fault is not None and self._plan.moment is Moment.IN_SPEECH

    def strike(self, piece: Piece) -> int | None:
        """How many bytes of `piece` still pass before the fault; None for all of them and no fault yet."""
        plan, number = self._plan, self._messages
        if plan.fault is None:
            return None
        part, whole = int(plan.fraction * len(piece.raw)), len(piece.raw)
        if piece.kind is Kind.HEAD and not self._opened:
            self._opened = True
            return {Moment.IN_HEAD: part, Moment.OPEN: whole}.get(plan.moment)
        if piece.kind not in (Kind.MESSAGE, Kind.ENDING):
            return None
        self._messages += 1
        hits = {Moment.BEFORE: 0, Moment.WITHIN: part, Moment.AFTER: whole} if number == plan.number else {}
        if piece.kind is Kind.ENDING:
            hits |= {Moment.BEFORE_ENDING: 0, Moment.WITHIN_ENDING: part, Moment.AFTER_ENDING: whole}
        return hits.get(plan.moment)
