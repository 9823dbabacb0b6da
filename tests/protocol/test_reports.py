import itertools
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.errors import Code, ShelfwireError
from shelfwire.protocol.reports import RESERVED_CODES, Indices, checksum, decode_report, ranges

INDICES = st.sets(st.integers(0, 40) | st.integers(0, 5000))
ERROR = {"code": "E_MINE", "userMessage": "It went wrong."}


def body(**report: Any) -> bytes:
    return json.dumps(report).encode()


@pytest.mark.parametrize(
    "report",
    [
        {"totalCount": 0},
        {"metadata": {}},
        {"items": [{"index": 0, "ok": True, "result": None}]},
        {"processedCount": 0},
        {"fraction": 0},
        {"currentTitle": ""},
        {"userMessage": ""},
        {"legacy": {"progress": 0, "status": ""}},
        {"end": {"release": {}}},
    ],
    ids=lambda report: next(iter(report)),
)
def test_a_report_that_says_anything_has_content(report: dict[str, Any]) -> None:
    assert decode_report(body(**report)).has_content


@pytest.mark.parametrize("report", [{}, {"number": 7}, {"items": []}, {"leaseSeconds": 5}, {"later": "version"}])
def test_a_report_that_says_nothing_only_renews(report: dict[str, Any]) -> None:
    assert not decode_report(body(**report)).has_content


@given(st.recursive(st.none() | st.booleans() | st.text() | st.integers(), st.lists))
def test_the_result_of_an_item_is_kept_as_the_bytes_that_came(result: Any) -> None:
    (item,) = decode_report(body(items=[{"index": 0, "ok": True, "result": result}])).items
    assert isinstance(item.result, msgspec.Raw)
    assert bytes(item.result) == json.dumps(result).encode()


@given(st.binary(max_size=200))
def test_whatever_bytes_come_are_read_or_refused(content: bytes) -> None:
    try:
        report = decode_report(content)
    except ShelfwireError as error:
        refused = error.code
    else:
        assert report.has_content in {True, False}
        return
    assert refused in {Code.INVALID_REQUEST, Code.REPORT_INVALID}


@pytest.mark.parametrize("code", ["E_", "MINE", "E_mine", "E_" + "A" * 61, "E_MINE\n", *sorted(RESERVED_CODES)])
def test_a_code_that_is_not_the_workers_own_is_refused_by_its_place(code: str) -> None:
    failed = {"index": 0, "ok": False, "error": {**ERROR, "code": code}}
    for where, report in (
        ("items[1].error.code", {"items": [{"index": 0, "ok": True, "result": 1}, failed]}),
        ("end.fail.code", {"end": {"fail": {**ERROR, "code": code}}}),
    ):
        with pytest.raises(ShelfwireError) as refused:
            decode_report(body(**report))
        assert refused.value.code is Code.REPORT_INVALID
        assert where in refused.value.message


def test_what_is_missing_is_named() -> None:
    for where, report in (
        ("items[0].result", {"items": [{"index": 0, "ok": True}]}),
        ("items[0].error", {"items": [{"index": 0, "ok": False}]}),
        ("end", {"end": {}}),
        ("end", {"end": {"retry": {}, "release": {}}}),
    ):
        with pytest.raises(ShelfwireError) as refused:
            decode_report(body(**report))
        assert refused.value.code is Code.INVALID_REQUEST
        assert where in refused.value.message


def test_how_much_is_done_is_said_in_one_way() -> None:
    with pytest.raises(ShelfwireError) as refused:
        decode_report(body(fraction=0.5, legacy={"progress": 0.5, "status": "Half"}))
    assert refused.value.code is Code.REPORT_INVALID


def test_the_text_for_people_serves_developers_too_and_both_are_clipped() -> None:
    report = decode_report(body(end={"fail": {"code": "E_MINE", "userMessage": "x" * 3000, "details": [1]}}))
    assert report.end is not None
    assert report.end.fail is not None
    error, listed = report.end.fail.to_error(), report.end.fail.to_result()
    assert (error.message, len(error.message), error.retryable, error.details) == (error.user_message, 2000, False, [1])
    assert (listed["message"], listed["userMessage"], listed["code"]) == (error.message, error.message, "E_MINE")


@given(INDICES)
def test_ranges_are_the_same_indices_as_few_ascending_runs(indices: set[int]) -> None:
    runs = ranges(indices)
    assert [index for first, last in runs for index in range(first, last + 1)] == sorted(indices)
    assert all(last + 1 < first for (_, last), (first, _) in itertools.pairwise(runs))


@given(INDICES, INDICES)
def test_a_set_of_indices_is_a_set(first: set[int], then: set[int]) -> None:
    indices = Indices(first)
    for index in then:
        indices.add(index)
    assert list(indices) == sorted(first | then)
    assert all((index in indices) == (index in first | then) for index in range(5100))
    assert indices.beyond == max(first | then, default=-1) + 1


@given(st.binary(), st.binary())
def test_a_checksum_is_of_the_bytes(first: bytes, then: bytes) -> None:
    assert checksum(first) == checksum(bytes(first))
    assert 0 <= checksum(then) < 2**32
