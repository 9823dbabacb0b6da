"""What ought to go well on a server, and how often it does."""

from collections.abc import Mapping
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta

from shelfwire.jobs.operator_store import Tally
from shelfwire.jobs.telemetry import Figure
from shelfwire.protocol.messages import Count

TARGETS: Final[Mapping[Figure, float]] = {
    Figure.UNAUTHORIZED: 0.0,
    Figure.UNDECODABLE: 0.01,
    Figure.RECOVERED: 0.0,
    Figure.RECONNECTS: 0.02,
}
"""The greatest share that may go wrong."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """How often something ought to go well, and how often it did not."""

    bad: Annotated[Count, Meta(description="How often it did not.")]
    total: Annotated[Count, Meta(description="How often in all.")]


class Outcome(Part, frozen=True, kw_only=True, rename="camel"):
    """How often something ought to go well, and how often it did not, in the last 7 days and in less."""

    day: Annotated[Part, Meta(description="The same of the last 24 hours, to the hour.")]
    since_start: Annotated[Part, Meta(description="The same since the process began.")]
    target: Annotated[float | None, Meta(description="The greatest share that may be bad; null where none is set.")]


class SuccessFigures(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What ought to go well."""

    unauthorized: Annotated[Outcome, Meta(description="Requests with a good token; bad: answered with 401.")]
    reconnects: Annotated[Outcome, Meta(description="Returns of clients, by their account; bad: given up.")]
    reconnect_attempts: Annotated[Outcome, Meta(description="Attempts to return, by their account; bad: failed.")]
    recovered: Annotated[Outcome, Meta(description="Jobs that a restart found begun; bad: not continued or ended.")]
    undecodable: Annotated[
        Outcome, Meta(description="Messages to clients, since the process began; bad: not read, by their account.")
    ]


class Counted(NamedTuple):
    """What was counted in some time.

    Attributes:
        tallies: how often what ought to go well did not, by figure.
        messages: news that were handed to followers.
    """

    tallies: Mapping[str, Tally]
    messages: int

    def part(self, figure: Figure) -> Part:
        """Return how a figure went."""
        found = self.tallies.get(figure, Tally())
        if figure is Figure.RECOVERED:
            begun = self.tallies.get(Figure.INTERRUPTED, Tally()).total
            return Part(bad=max(0, begun - found.total), total=begun)
        if figure is Figure.UNDECODABLE:
            return Part(bad=found.bad, total=max(found.bad, self.messages))
        return Part(bad=found.bad, total=found.total)


def success_of(week: Counted, day: Counted, since_start: Counted) -> SuccessFigures:
    """Return what ought to go well, by what was counted in three spans of time."""

    def outcome(figure: Figure) -> Outcome:
        part = week.part(figure)
        return Outcome(
            bad=part.bad,
            total=part.total,
            day=day.part(figure),
            since_start=since_start.part(figure),
            target=TARGETS.get(figure),
        )

    return SuccessFigures(
        unauthorized=outcome(Figure.UNAUTHORIZED),
        reconnects=outcome(Figure.RECONNECTS),
        reconnect_attempts=outcome(Figure.ATTEMPTS),
        recovered=outcome(Figure.RECOVERED),
        undecodable=outcome(Figure.UNDECODABLE),
    )
