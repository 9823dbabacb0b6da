from collections.abc import Callable

import msgspec
import pytest

from shelfwire.jobs.store import Change
from shelfwire.protocol import worker_transitions
from shelfwire.protocol.worker_transitions import ProgressDelta
from shelfwire.testing import NOW, POLICY, add_job, claim, encode_terminal
from tests.simulation.bugs import BUGS, Patch
from tests.simulation.histories import RARE, run_many, undisturbed
from tests.simulation.oracles import Oracles
from tests.simulation.plans import Act, Conditions, Plan, Work
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.shrink import shrink
from tests.simulation.store import WatchedDatabase, WatchedStore
from tests.simulation.world import Outcome, run

SCHEDULES = 12


def under(schedule: int, plan: Plan) -> Outcome:
    return run(msgspec.structs.replace(plan, schedule=str(schedule)))


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_fault_that_was_found_stays_mended(name: str) -> None:
    with undisturbed():
        for schedule in range(SCHEDULES):
            assert under(schedule, SCENARIOS[name]).violations == [], f"under schedule {schedule}"


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_bug_that_is_planted_is_found(bug: Callable[[Patch], None], monkeypatch: pytest.MonkeyPatch) -> None:
    bug(monkeypatch.setattr)
    with undisturbed():
        assert any(under(schedule, SCENARIOS[BUGS[bug]]).violations for schedule in range(SCHEDULES))


async def test_an_overtaken_attempt_that_writes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(state: object, attempt: object) -> None:
        """Fence nobody off."""

    oracles = Oracles(lambda: 0.0, Conditions(), lambda _: None)
    async with WatchedStore(encode_terminal=encode_terminal, database=WatchedDatabase(oracles)) as store:
        await add_job(store)
        await claim(store)
        await claim(store, now=NOW + POLICY.lease)
        late = Change(job_id="job-1", attempt=1, created_at=NOW, delta=ProgressDelta(user_message="late"))
        assert await store.commit([late], POLICY, NOW) == [None]
        assert oracles.violations == []
        monkeypatch.setattr(worker_transitions, "_fence", blind)
        await store.commit([late], POLICY, NOW)
    assert [violation.kind for violation in oracles.violations] == ["7 fence"]


def test_a_plan_is_shrunk_to_what_breaks_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bug = next(bug for bug in BUGS if bug.__name__ == "a_cancel_that_reopens_an_ended_job")
    bug(monkeypatch.setattr)
    with undisturbed():
        smallest = shrink(SCENARIOS[BUGS[bug]])
    assert [act.do for act in smallest.acts] == ["create", "cancel"]
    assert smallest.followers == ()
    again = msgspec.json.decode(msgspec.json.encode(smallest), type=Plan)
    assert [violation.kind for violation in run(again).violations] == ["3 changed"]


def test_a_job_of_a_killed_node_goes_on_as_soon_as_its_lease_has_ended() -> None:
    create = Act(at=5.0, do="create", kind="silent", work=Work(items=3, pace=2.0))
    crash = Act(at=6.5, do="crash", node=0, down=30.0)
    plan = Plan(conditions=Conditions(nodes=2, lag=0.002), acts=(create, crash))
    claims = []
    with undisturbed():
        for schedule in range(SCHEDULES):
            rows: list[str] = []
            outcome = run(msgspec.structs.replace(plan, schedule=str(schedule)), rows.append)
            assert outcome.violations == []
            claims += [float(row.split()[0]) for row in rows if "running seq" in row and "attempt 2" in row][:1]
    assert len(claims) in range(1, SCHEDULES), "it ran on either node"
    lease = Conditions().lease
    assert max(claims) < crash.at + lease + 0.1


def test_scenarios_reach_states_that_few_histories_reach() -> None:
    seen = sum((under(0, plan).seen for plan in SCENARIOS.values()), start=run_many("s", ()).seen)
    assert {"a commit was sent again", "an id was made again", "owner: delete was cut off"} <= set(seen) & set(RARE)
