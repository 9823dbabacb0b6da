from typing import Any

import pytest

from shelfwire.jobs.frames import Dismissal
from shelfwire.jobs.hub import Hub
from shelfwire.jobs.nodes import Gone, Hint, HintKind, Position
from shelfwire.jobs.store import Committed
from shelfwire.jobs.telemetry import NoTelemetry
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions
from shelfwire.protocol.feed import Due
from shelfwire.protocol.job import JobState, Policy

QUEUED = jobs.create("j", "csv_import", now=1000)
ENDED = owner_transitions.cancel(QUEUED, Policy(), now=2000)
ENDING = Committed(state=ENDED, terminal="{}")


class Counting(NoTelemetry):
    def __init__(self) -> None:
        self.endings: list[JobState] = []

    def ended(self, state: JobState) -> None:
        self.endings.append(state)


def test_what_is_committed_here_is_hinted_to_other_nodes() -> None:
    sent: list[Hint] = []
    hub = Hub(send=sent.extend)
    hub.publish([Committed(state=QUEUED), ENDING])
    hub.erased(ENDING)
    hub.revoke("j", b"d")
    assert sent == [
        Hint(HintKind.ROW, "j", 1),
        Hint(HintKind.QUEUE),
        Hint(HintKind.ROW, "j", 2),
        Hint(HintKind.GONE, "j"),
        Hint(HintKind.TOKENS, "j"),
    ]


def test_what_is_heard_of_another_node_is_neither_counted_nor_hinted_again() -> None:
    telemetry, sent = Counting(), list[Hint]()
    hub = Hub(telemetry, send=sent.extend)
    with hub.follow("j", digest=b"d") as (follower, offer):
        offer(Committed(state=QUEUED))
        assert [frame.due for frame in follower.due()] == [Due.PROGRESS]
        hub.hear([ENDING])
        assert [frame.due for frame in follower.due()] == [Due.ENDING]
        hub.hear_revoked("j", b"d")
        assert follower.dismissal is Dismissal.REVOKED
    assert (telemetry.endings, sent) == ([], [])


@pytest.mark.parametrize("ending", [ENDING, None])
def test_followers_of_a_job_erased_elsewhere_get_its_ending_or_come_back(ending: Committed | None) -> None:
    hub = Hub()
    with hub.follow("j") as (follower, offer), hub.follow("j") as (other, offer_other):
        offer(Committed(state=QUEUED))
        offer_other(Committed(state=jobs.create("j", "csv_import", now=5000)))
        hub.hear_gone(Gone(Position.of(QUEUED), ending))
        assert follower.dismissal is (None if ending else Dismissal.LEAVING)
        assert (Due.ENDING in [frame.due for frame in follower.due()]) == (ending is not None)
        assert other.dismissal is None
    assert hub._erased == {}


def test_jobs_are_read_again_while_somebody_follows_them_and_they_go_on() -> None:
    hub = Hub()
    newest: Any = Committed(state=QUEUED)
    with hub.follow("j", digest=b"d") as (_, offer):
        assert (hub.positions(), hub.digests()) == ([], {b"d": "j"})
        offer(newest)
        assert (hub.positions(), hub.digests()) == ([Position("j", 1000, 1)], {b"d": "j"})
        hub.publish([ENDING])
        assert hub.positions() == []
    assert (hub.positions(), hub.digests()) == ([], {})
