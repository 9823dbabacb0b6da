from hypothesis import given
from hypothesis import strategies as st

from shelfwire.protocol.follow import DELAYS, Backoff, Shown
from shelfwire.protocol.messages import JobComplete, JobProgress, JobStarted, Message, Payload, Pong

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
    shown = Shown()
    assert shown.accept(progress(5))
    assert not shown.accept(progress(4))
    assert shown.accept(progress(5))
    assert shown.seq == 5


def test_a_message_without_seq_is_shown_and_moves_nothing() -> None:
    shown = Shown()
    shown.accept(progress(5))
    assert shown.accept(message(Pong(), None))
    assert shown.seq == 5


def test_the_start_is_shown_once_over_all_connections() -> None:
    shown = Shown()
    assert shown.accept(message(STARTED, 2))
    assert not shown.accept(message(STARTED, 3))


def test_nothing_is_shown_after_the_ending() -> None:
    shown = Shown()
    assert shown.accept(message(COMPLETE, 9))
    assert shown.over
    assert not shown.accept(message(COMPLETE, 9))
    assert not shown.accept(progress(10))


@given(st.lists(st.tuples(st.sampled_from(["start", "progress", "end"]), st.integers(0, 9))))
def test_whatever_arrives_what_is_shown_never_goes_back(arrivals: list[tuple[str, int]]) -> None:
    kinds: dict[str, Payload] = {"start": STARTED, "progress": JobProgress(processed_count=0), "end": COMPLETE}
    shown = Shown()
    accepted = [(kind, seq) for kind, seq in arrivals if shown.accept(message(kinds[kind], seq))]
    seqs = [seq for kind, seq in accepted if kind != "end"]
    assert seqs == sorted(seqs)
    assert [kind for kind, _ in accepted].count("start") <= 1
    assert [kind for kind, _ in accepted[:-1]].count("end") == 0
