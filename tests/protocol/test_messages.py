import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shelfwire.books.codes import BookCode
from shelfwire.errors import ShelfwireError
from shelfwire.protocol.messages import (
    MAX_MESSAGE_BYTES,
    TYPES,
    JobComplete,
    JobProgress,
    JobStarted,
    Message,
    Payload,
    UndecodableError,
    UnencodableError,
    Unknown,
    clip,
    decode,
    encode,
    error_of,
)
from tests.wire import VECTORS, json_values, messages, texts


def message(payload: Payload) -> Message:
    return Message(job_id="j", pipeline="csv_import", timestamp=1, payload=payload)


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_a_golden_message_is_decoded_and_written_again_as_it_was(path: Path) -> None:
    decoded = decode(path.read_bytes())
    assert isinstance(decoded, Message)
    assert decoded.type == path.stem
    assert json.loads(encode(decoded)) == json.loads(path.read_text())


def test_there_is_a_golden_message_for_every_type() -> None:
    assert {path.stem for path in VECTORS} == set(TYPES)


@given(messages)
def test_what_is_encoded_is_decoded_to_the_same(original: Message) -> None:
    assert decode(encode(original)) == original


@given(messages)
def test_an_unset_field_is_left_out_and_never_null(original: Message) -> None:
    written = json.loads(encode(original))
    for name, value in written["payload"].items():
        assert value is not None or name == "results"
    assert all(value is not None for value in written.values())


@given(st.binary() | texts)
def test_any_frame_is_a_message_or_undecodable(frame: bytes | str) -> None:
    try:
        decoded = decode(frame)
    except UndecodableError:
        return
    assert isinstance(decoded, Message | Unknown)


@given(json_values)
def test_any_json_is_a_message_or_undecodable(value: Any) -> None:
    test_any_frame_is_a_message_or_undecodable.hypothesis.inner_test(json.dumps(value))  # type: ignore[attr-defined]


@given(messages, st.dictionaries(texts.map("x_".__add__), json_values, max_size=3))
def test_fields_it_does_not_know_are_ignored(original: Message, surplus: dict[str, Any]) -> None:
    written = json.loads(encode(original))
    written["payload"].update(surplus)
    written.update(surplus)
    assert decode(json.dumps(written)) == original


def test_a_type_it_does_not_know_is_no_error() -> None:
    assert decode('{"type": "job_paused", "payload": 7}') == Unknown("job_paused")


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        '{"type": "job_started", "payload": {}}',
        '{"type": "ping", "payload": {"clientTime": 1.5}}',
        '{"type": "ping", "payload": null}',
        '{"type": 7}',
    ],
    ids=lambda frame: repr(frame[:45]),
)
def test_a_malformed_frame_is_undecodable(frame: bytes | str) -> None:
    with pytest.raises(UndecodableError):
        decode(frame)


@pytest.mark.parametrize(
    "payload",
    [
        JobProgress(processed_count=-1),
        JobProgress(processed_count=1.0),  # type: ignore[arg-type]
        JobProgress(processed_count=True),
        JobProgress(processed_count=1, current_title="x" * 201),
        JobStarted(total_count="7"),  # type: ignore[arg-type]
        JobComplete(success_count=1, failure_count=0, duration=0.5, results={}),  # type: ignore[arg-type]
        JobComplete(success_count=1, failure_count=0, duration=0, results=object()),
        JobComplete(success_count=1, failure_count=0, duration=0, results="\ud800"),
    ],
    ids=lambda payload: type(payload).__name__,
)
def test_a_payload_that_breaks_the_contract_is_not_sent(payload: Payload) -> None:
    with pytest.raises(UnencodableError, match="of job j"):
        encode(message(payload))


def test_no_message_reaches_one_mebibyte() -> None:
    overhead = len(encode(message(JobComplete(success_count=1, failure_count=0, duration=0, results=""))).encode())
    room = MAX_MESSAGE_BYTES - overhead
    fits = JobComplete(success_count=1, failure_count=0, duration=0, results="x" * (room - 1))
    assert len(encode(message(fits))) == MAX_MESSAGE_BYTES - 1
    with pytest.raises(UnencodableError, match="1048576 bytes"):
        encode(message(JobComplete(success_count=1, failure_count=0, duration=0, results="x" * room)))


def test_only_the_two_endings_are_terminal() -> None:
    terminal = {path.stem for path in VECTORS if decode(path.read_bytes()).terminal}  # type: ignore[union-attr]
    assert terminal == {"job_complete", "error"}


@given(st.text(), st.integers(1, 20))
def test_a_clipped_text_fits_and_can_be_encoded(text: str, limit: int) -> None:
    clipped = clip(text, limit)
    assert len(clipped) <= limit
    encode(message(JobProgress(processed_count=0, user_message=clipped)))


def test_an_error_that_says_too_much_is_sent_without_what_does_not_fit() -> None:
    talkative = ShelfwireError(
        BookCode.CSV_UNREADABLE, "x" * 2**20, details={"page": "x" * 2**20}, affected=["x" * 2**20] * 2**10
    )
    payload = error_of(talkative)
    assert len(encode(message(payload))) < MAX_MESSAGE_BYTES // 8
    assert payload.details is None
    assert payload.affected_items is not None
    brief = error_of(ShelfwireError(BookCode.CSV_UNREADABLE, details={"row": 4}, affected=["Emma"]))
    assert (brief.details, brief.affected_items) == ({"row": 4}, ["Emma"])


def test_a_text_that_fits_stays_and_a_longer_one_ends_in_an_ellipsis() -> None:
    assert clip("Emma", 4) == "Emma"
    assert clip("Emmas", 4) == "Emm…"
