import itertools
import math
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from shelfwire.jobs.eta import MIN_MOMENTS, STEP_SECONDS, WINDOW_SECONDS, Eta, FractionEta

TOTAL = 1_000_000


def told(eta: Eta, moments: Iterable[tuple[float, int]], total: int = TOTAL) -> list[int | None]:
    return [eta.update(now, processed, total) for now, processed in moments]


def test_without_a_total_or_two_moments_with_progress_nothing_is_promised() -> None:
    eta = Eta()
    assert told(eta, [(0.0, 5), (1.0, 5), (2.0, 6)], total=10) == [None] * 3
    assert eta.update(2.0, 7, 10) is None
    assert eta.update(4.0, 8, None) is None
    assert eta.update(4.0, 8, 10) == 2


def test_a_steady_rate_gives_the_remaining_time() -> None:
    assert told(Eta(), [(float(second), second * 10) for second in range(6)], total=100) == [None, None, 8, 7, 6, 5]


def test_items_of_a_minute_each_give_it_too() -> None:
    assert told(Eta(), [(60.0 * done, done) for done in range(5)], total=5) == [None, None, 180, 120, 60]


def test_it_follows_a_rate_that_changes_within_its_window() -> None:
    eta = Eta()
    told(eta, [(float(second), second * 100) for second in range(100)])
    slower = [(100.0 + second, 9900 + second + 1) for second in range(int(WINDOW_SECONDS) + 1)]
    assert told(eta, slower)[-1] == TOTAL - slower[-1][1]


def test_what_was_done_before_this_attempt_does_not_count_as_speed() -> None:
    assert told(Eta(), [(0.0, 900), (5.0, 905), (10.0, 910)], total=1000)[-1] == 90


def test_the_time_to_the_first_item_is_no_part_of_the_rate() -> None:
    assert told(Eta(), [(0.0, 0), (600.0, 1), (601.0, 11)], total=111)[-1] == 10


def test_first_items_that_take_long_are_forgotten_after_ten_seconds_of_a_faster_rate() -> None:
    warming_up = [(0.0, 0), (20.0, 1), (40.0, 2), (60.0, 3)]
    steady = [(60.0 + second / 10, 3 + second) for second in range(1, 1001)]
    eta = Eta()
    told(eta, warming_up)
    errors = {now - 60: left / ((TOTAL - done) / 10) for now, done in steady if (left := eta.update(now, done, TOTAL))}
    assert max(error for since, error in errors.items() if since > WINDOW_SECONDS + STEP_SECONDS) < 1.01


def test_bursts_give_the_same_as_an_even_flow() -> None:
    bursts = [(second / 20, second // 100 * 50) for second in range(2000)]
    expected = [(TOTAL - done) / 10 for _, done in bursts]
    left = told(Eta(), bursts)
    pairs = [(one, other) for one, other in zip(left, expected, strict=True) if one is not None]
    assert len(pairs) > 1700
    assert all(other - 0.001 <= one <= other + 1 for one, other in pairs)


histories = st.lists(st.tuples(st.floats(0, 100), st.integers(0, 50)), min_size=1, max_size=60)


@given(histories)
def test_it_never_promises_less_than_nothing_nor_more_than_nothing_at_the_end(steps: list[tuple[float, int]]) -> None:
    eta, now, processed = Eta(), 0.0, 0
    total = sum(count for _, count in steps)
    for seconds, count in steps:
        now, processed = now + seconds, processed + count
        left = eta.update(now, processed, total)
        assert left is None or left >= 0
        assert left is None or processed < total or left == 0


@given(histories, st.floats(0.05, 60), st.integers(1, 1000), st.integers(0, 500))
def test_whatever_was_before_a_steady_rate_is_found_within_the_window(
    history: list[tuple[float, int]], interval: float, batch: int, silence: int
) -> None:
    eta, now, processed = Eta(), 0.0, 0
    for seconds, count in history:
        now, processed = now + seconds, processed + count
        eta.update(now, processed, TOTAL)
    now += silence
    needed = max(MIN_MOMENTS * 2 * STEP_SECONDS, WINDOW_SECONDS, MIN_MOMENTS * interval) + 2 * interval + STEP_SECONDS
    for _ in range(math.ceil(needed / interval) + 1):
        now, processed = now + interval, processed + batch
        left = eta.update(now, processed, TOTAL)
    expected = max(0, TOTAL - processed) * interval / batch
    assert left is not None
    assert expected - 0.001 <= left <= expected + 1.001 + expected * 1e-6


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_it_remembers_a_bounded_number_of_moments(gaps: list[float]) -> None:
    eta, now = Eta(), 0.0
    for processed, gap in enumerate(itertools.islice(itertools.cycle(gaps), 2000)):
        now += gap
        eta.update(now, processed, None)
    assert len(eta._moments) <= 2 * WINDOW_SECONDS / STEP_SECONDS + MIN_MOMENTS


def test_a_fraction_gives_the_remaining_time_of_hours_to_a_thousandth() -> None:
    eta, hours = FractionEta(), 10_800
    left = {second: eta.update(float(second), second / hours) for second in range(0, hours, 7)}
    assert left[0] is None
    for second, seconds in left.items():
        if second > WINDOW_SECONDS:
            assert seconds is not None
            assert abs(seconds - (hours - second)) <= 2 + (hours - second) / 1000


def test_what_has_passed_since_the_newest_fraction_is_subtracted() -> None:
    eta = FractionEta()
    told = [eta.update(now, done) for now, done in [(0.0, 0.0), (10.0, 0.1), (20.0, 0.2), (23.0, 0.2), (300.0, 0.2)]]
    assert told == [None, None, 80, 77, 0]


def test_nothing_is_promised_of_a_fraction_before_two_per_cent_or_five_seconds() -> None:
    quick, slow = FractionEta(), FractionEta()
    assert [quick.update(number / 10, number / 200) for number in range(5)] == [None, None, None, None, 20]
    assert [slow.update(float(number), number / 10_000) for number in (0, 2, 4, 5)] == [None, None, None, 9995]
