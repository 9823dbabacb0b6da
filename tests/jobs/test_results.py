import msgspec
import pytest

from shelfwire.jobs.results import listed, terminal_encoder
from shelfwire.jobs.store import Item
from shelfwire.protocol import job as jobs
from shelfwire.protocol import owner_transitions, worker_transitions
from shelfwire.protocol.job import JobState, Policy
from shelfwire.protocol.state import state_of
from shelfwire.testing import NOW

POLICY = Policy()
BODY = b'{"title":"Emma","rating":4.50,"big":123456789012345678901234567890}'


def completed() -> JobState:
    state = worker_transitions.claim(jobs.create("job-1", "csv_import", now=NOW), POLICY, now=NOW)
    step = worker_transitions.ProgressDelta(total=2, succeeded=2)
    state = worker_transitions.advance(state, 1, step, POLICY, now=NOW)
    return worker_transitions.complete(state, 1, "Done", POLICY, now=NOW)


@pytest.mark.parametrize(("limit", "inline"), [(1000, 2), (len(BODY) + 1, 1), (0, 0)])
def test_inline_results_come_out_of_the_terminal_message_byte_for_byte(limit: int, inline: int) -> None:
    head = [Item(index=index, ok=True, title="Emma", body=msgspec.Raw(BODY)) for index in range(2)]
    found = state_of(completed(), terminal_encoder(limit, {"csv_import": listed("books")})(completed(), head))
    assert found.results is not msgspec.UNSET
    assert bytes(found.results) == b'{"books":[' + b",".join([BODY] * inline) + b'],"errors":[]}'
    everything = inline == len(head)
    assert found.truncated is (None if everything else True)
    assert found.results_url == (None if everything else "/api/jobs/job-1/results")


def test_a_canceled_job_has_no_inline_results() -> None:
    state = owner_transitions.cancel(jobs.create("job-1", "csv_import", now=NOW), POLICY, now=NOW)
    found = state_of(state, terminal_encoder(1000, {})(state, ()))
    assert (found.results, found.results_url, found.truncated) == (msgspec.UNSET, None, None)
