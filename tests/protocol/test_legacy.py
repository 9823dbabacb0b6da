import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.protocol.legacy import Report, read


@pytest.mark.parametrize(
    ("status", "report"),
    [
        ("Enriching (5/10): Dune", Report(5, 10, "Dune")),
        ("Enriching (5/10)", Report(5, 10, None)),
        ("(0/3): ", Report(0, 3, None)),
        ("Enriching (12/10): Emma", Report(10, 10, "Emma")),
        ("Reading (1/2): A (very) odd: title", Report(1, 2, "A (very) odd: title")),
    ],
)
def test_a_counted_status_is_taken_apart(status: str, report: Report) -> None:
    assert read(0.1, status, 99) == report


@pytest.mark.parametrize("status", ["Almost there", "Half (of it)", "(5/10) done", "Enriching (five/10): Dune"])
def test_any_other_text_is_for_a_person_and_the_fraction_counts(status: str) -> None:
    assert read(0.5, status, 10) == Report(5, None, None, status)


def test_a_fraction_of_nothing_known_says_nothing() -> None:
    assert read(0.5, "Working", None) == Report(None, None, None, "Working")


@given(st.floats(), st.text(max_size=300), st.none() | st.integers(0, 10**6))
def test_whatever_an_old_caller_says_is_a_report_within_its_total(progress: float, status: str, total: int) -> None:
    report = read(progress, status, total)
    whole = total if report.total is None else report.total
    assert report.processed is None or 0 <= report.processed <= whole


@pytest.mark.parametrize(("progress", "processed"), [(math.nan, 0), (math.inf, 10), (-3.0, 0), (0.29, 2)])
def test_a_fraction_out_of_bounds_counts_as_the_nearest(progress: float, processed: int) -> None:
    assert read(progress, "Working", 10).processed == processed
