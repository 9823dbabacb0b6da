import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.protocol.messages import JobComplete, JobProgress, JobStarted, Message, Payload, Pong
from shelfwire.protocol.reconnect import (
    DELAYS,
    Backoff,
    Deduplicator,
    FailureKind,
    Transport,
    TransportFallback,
    refresh_in,
)

fractions = st.floats(0, 1, exclude_max=True)


def message(payload: Payload, seq: int | None) -> Message:
    return Message(job_id="j", pipeline="p", timestamp=0, payload=payload, seq=seq)


def progress(seq: int | None) -> Message:
    return message(JobProgress(processed_count=1), seq)


STARTED = JobStarted(total_count=3)
COMPLETE = JobComplete(success_count=3, failure_count=0, duration=0, results={})


def test_it_tries_five_times_after_2_4_8_16_and_30_seconds_and_then_gives_up() -> None:
    backoff = Backoff()
    assert [backoff.next(0.0) for _ in range(7)] == [2, 4, 8, 16, 30, None, None]


def test_a_successful_connection_starts_the_delays_anew() -> None:
    backoff = Backoff()
    backoff.next(0.0)
    backoff.next(0.0)
    backoff.connected()
    assert backoff.next(0.0) == 2


@given(st.lists(fractions, min_size=5, max_size=5))
def test_jitter_stays_below_the_contracts_delays_and_above_their_half(chosen: list[float]) -> None:
    backoff = Backoff()
    for full, fraction in zip(DELAYS, chosen, strict=True):
        delay = backoff.next(fraction)
        assert delay is not None
        assert full / 2 <= delay <= full


def test_what_is_older_than_what_was_shown_is_dropped() -> None:
    shown = Deduplicator()
    assert shown.accept(progress(5))
    assert not shown.accept(progress(4))
    assert shown.accept(progress(5))
    assert shown.seq == 5


def test_a_start_alone_does_not_show_its_revision_in_full() -> None:
    shown = Deduplicator()
    shown.accept(progress(5))
    assert shown.accept(message(STARTED, 6))
    assert (shown.seq, shown.after) == (6, 5)
    assert shown.accept(progress(6))
    assert shown.after == 6


def test_a_message_without_seq_is_shown_and_moves_nothing() -> None:
    shown = Deduplicator()
    shown.accept(progress(5))
    assert shown.accept(message(Pong(), None))
    assert shown.seq == 5


def test_the_start_is_shown_once_over_all_connections() -> None:
    shown = Deduplicator()
    assert shown.accept(message(STARTED, 2))
    assert not shown.accept(message(STARTED, 3))


def test_nothing_is_shown_after_the_ending() -> None:
    shown = Deduplicator()
    assert shown.accept(message(COMPLETE, 9))
    assert shown.over
    assert not shown.accept(message(COMPLETE, 9))
    assert not shown.accept(progress(10))


@given(st.lists(st.tuples(st.sampled_from(["start", "progress", "end"]), st.integers(0, 9))))
def test_whatever_arrives_what_is_shown_never_goes_back(arrivals: list[tuple[str, int]]) -> None:
    kinds: dict[str, Payload] = {"start": STARTED, "progress": JobProgress(processed_count=0), "end": COMPLETE}
    shown = Deduplicator()
    accepted = [(kind, seq) for kind, seq in arrivals if shown.accept(message(kinds[kind], seq))]
    seqs = [seq for kind, seq in accepted if kind != "end"]
    assert seqs == sorted(seqs)
    assert [kind for kind, _ in accepted].count("start") <= 1
    assert [kind for kind, _ in accepted[:-1]].count("end") == 0


def test_a_way_that_is_blocked_makes_room_for_the_next_at_once() -> None:
    ways = TransportFallback()
    tried = [ways.current]
    while ways.failed(FailureKind.BLOCKED):
        tried.append(ways.current)
    assert tried == [Transport.WEBSOCKET, Transport.SSE, Transport.POLLING]
    assert ways.current is Transport.WEBSOCKET


def test_one_cut_before_anything_was_heard_may_be_chance_but_not_two() -> None:
    ways = TransportFallback()
    assert (ways.failed(FailureKind.MUTE), ways.current) == (False, Transport.WEBSOCKET)
    assert (ways.failed(FailureKind.MUTE), ways.current) == (True, Transport.SSE)


def test_a_server_that_is_away_says_nothing_about_the_ways_to_it() -> None:
    ways = TransportFallback()
    for _ in range(9):
        assert not ways.failed(FailureKind.LOST)
        assert ways.current is Transport.WEBSOCKET


def test_what_has_worked_is_stayed_with_when_the_server_is_away() -> None:
    ways = TransportFallback()
    ways.failed(FailureKind.BLOCKED)
    ways.works()
    for failure in (FailureKind.LOST, FailureKind.BLOCKED, FailureKind.MUTE):
        assert not ways.failed(failure)
        assert ways.current is Transport.SSE


def test_what_has_worked_is_given_up_when_it_is_blocked_again_and_again() -> None:
    ways = TransportFallback()
    ways.works()
    assert [ways.failed(FailureKind.BLOCKED) for _ in range(3)] == [False, False, True]
    assert ways.current is Transport.SSE


def test_a_close_without_an_ending_is_asked_about_by_another_way_even_where_this_one_has_worked() -> None:
    ways = TransportFallback()
    ways.works()
    assert (ways.failed(FailureKind.UNFINISHED), ways.current) == (True, Transport.SSE)


def test_another_network_is_tried_from_the_best_way_on() -> None:
    ways = TransportFallback()
    ways.failed(FailureKind.BLOCKED)
    ways.works()
    ways.start_over()
    assert ways.current is Transport.WEBSOCKET


def test_only_what_is_allowed_is_ever_tried() -> None:
    ways = TransportFallback((Transport.POLLING,))
    for failure in FailureKind:
        assert not ways.failed(failure)
        assert ways.current is Transport.POLLING
    with pytest.raises(ValueError, match="at least one"):
        TransportFallback(())


@given(st.lists(st.sampled_from([*FailureKind, "works"]), max_size=30))
def test_whatever_happens_there_is_a_way_to_try_and_an_end_to_trying_at_once(events: list[str]) -> None:
    ways = TransportFallback()
    at_once = 0
    for event in events:
        if event == "works":
            ways.works()
            at_once = 0
        elif ways.failed(FailureKind(event)):
            at_once += 1
        else:
            at_once = 0
        assert ways.current in Transport
        assert at_once < len(Transport)


@pytest.mark.parametrize(("left", "seconds"), [(3_600_000, 3540), (120_000, 60), (60_000, 30), (1, 0.001), (-5, 0)])
def test_a_token_is_replaced_a_minute_before_its_end_or_after_half_its_life(left: int, seconds: float) -> None:
    assert refresh_in(1_000_000 + left, 1_000_000) == seconds
