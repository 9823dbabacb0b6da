from typing import Any

import msgspec
import pytest

from shelfwire.protocol import job as jobs
from shelfwire.protocol import worker_transitions
from shelfwire.protocol.job import JobState, Policy, decode_row, decode_rows, stored_row

QUEUED = jobs.create("j", "csv_import", now=1000)


def stored(**members: Any) -> bytes:
    """A row as a newer version may have written it."""
    return msgspec.json.encode({**msgspec.to_builtins(QUEUED), **members})


def written(state: JobState) -> Any:
    return msgspec.json.decode(msgspec.json.encode(stored_row(state)))


def test_a_row_is_stored_and_read_as_it_is() -> None:
    assert decode_row(msgspec.json.encode(stored_row(QUEUED))) == QUEUED
    assert decode_rows(msgspec.json.encode([QUEUED, QUEUED])) == [QUEUED, QUEUED]


def test_members_of_a_newer_version_are_kept_through_changes_of_an_older_one() -> None:
    state = decode_row(stored(region="eu", weights={"a": [1, 2.5]}))
    claimed = worker_transitions.claim(state, Policy(), now=2000)
    assert type(claimed) is JobState
    kept = written(claimed)
    assert (kept["region"], kept["weights"], kept["attempt"]) == ("eu", {"a": [1, 2.5]}, 1)
    assert "rest" not in kept
    assert decode_row(msgspec.json.encode(kept)) == claimed


def test_a_newer_row_among_others_is_read_with_them() -> None:
    both = b"[%b,%b]" % (stored(region="eu"), stored())
    assert [state.rest for state in decode_rows(both)] == [{"region": "eu"}, None]


def test_a_status_of_a_newer_version_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_row(stored(status="archived"))
