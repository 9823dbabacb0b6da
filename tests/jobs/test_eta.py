from hypothesis import given
from hypothesis import strategies as st

from shelfwire.jobs.eta import WINDOW_SECONDS, Eta


def test_without_a_total_or_any_progress_nothing_is_promised() -> None:
    eta = Eta()
    assert eta.update(0.0, 5, None) is None
    assert eta.update(0.0, 5, 10) is None
    assert eta.update(1.0, 5, 10) is None


def test_a_steady_rate_gives_the_time_that_is_left() -> None:
    eta = Eta()
    assert [eta.update(float(second), second * 10, 100) for second in range(6)] == [None, 9, 8, 7, 6, 5]


def test_it_follows_a_rate_that_changes_within_its_window() -> None:
    eta = Eta()
    for second in range(100):
        eta.update(float(second), second * 10, 10_000)
    for second in range(100, 100 + int(WINDOW_SECONDS) + 1):
        left = eta.update(float(second), 990 + (second - 99), 10_000)
    assert left == 10_000 - 1001


def test_what_was_done_before_this_attempt_does_not_count_as_speed() -> None:
    eta = Eta()
    eta.update(0.0, 900, 1000)
    assert eta.update(10.0, 910, 1000) == 90


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 50)), min_size=1, max_size=50))
def test_it_never_promises_less_than_nothing(steps: list[tuple[float, int]]) -> None:
    eta, now, processed = Eta(), 0.0, 0
    total = sum(count for _, count in steps)
    for seconds, count in steps:
        now, processed = now + seconds, processed + count
        left = eta.update(now, processed, total)
        assert left is None or left >= 0
        assert left is None or processed < total or left == 0
