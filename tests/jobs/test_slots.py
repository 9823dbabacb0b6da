from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from shelfwire.jobs.slots import Slots
from shelfwire.protocol import job as jobs
from shelfwire.protocol.job import JobState

THREE = dict.fromkeys(("csv_import", "ai_scan", "batch_enrichment"))


def running(*jobs_by: str) -> list[JobState]:
    """Jobs of pipelines, each with a caller after a colon."""
    return [
        jobs.create(f"job-{number}", pipeline, now=0, caller=caller)
        for number, (pipeline, _, caller) in enumerate(one.partition(":") for one in jobs_by)
    ]


def fill(slots: Slots, pipelines: Sequence[str], callers: Sequence[str] = ("",)) -> list[str]:
    """Give slots to as many jobs of these pipelines and callers as may have them, always to the first that may."""
    taken: list[str] = []
    while True:
        open_to = slots.open_to(running(*taken))
        for pipeline in open_to:
            who = next((caller for caller in callers if caller not in open_to[pipeline]), None)
            if pipeline in pipelines and who is not None:
                slots.taken(pipeline)
                taken.append(f"{pipeline}:{who}")
                break
        else:
            return taken


def test_one_pipeline_leaves_a_slot_for_each_of_the_others() -> None:
    assert len(fill(Slots(6, THREE), ["ai_scan"])) == 4


def test_two_pipelines_leave_a_slot_for_the_third() -> None:
    slots = Slots(6, THREE)
    taken = fill(slots, ["ai_scan", "batch_enrichment"])
    assert len(taken) == 5
    assert list(slots.open_to(running(*taken))) == ["csv_import"]


def test_no_more_than_half_of_the_slots_are_kept_however_many_pipelines_there_are() -> None:
    many = dict.fromkeys(map(str, range(50)))
    assert len(fill(Slots(6, many), ["7"])) == 3
    assert len(fill(Slots(1, many), ["7"])) == 1


def test_the_only_pipeline_may_have_all_slots() -> None:
    assert len(fill(Slots(4, {"csv_import": None}), ["csv_import"])) == 4


def test_a_limit_of_the_pipeline_itself_holds_unless_the_operator_sets_another() -> None:
    defaults = {**THREE, "ai_scan": 2}
    assert len(fill(Slots(6, defaults), ["ai_scan"])) == 2
    assert len(fill(Slots(6, defaults, {"ai_scan": 1}), ["ai_scan"])) == 1
    assert len(fill(Slots(6, defaults, {"ai_scan": 5}), ["ai_scan"])) == 5, "also slots that are kept for others"
    assert len(fill(Slots(6, defaults, {"ai_scan": 99}), ["ai_scan"])) == 6


def test_the_last_slot_of_a_pipeline_is_kept_for_another_caller() -> None:
    alone = fill(Slots(6, THREE), ["ai_scan"], ["busy"])
    both = fill(Slots(6, THREE), ["ai_scan"], ["busy", "quiet"])
    assert (alone, both) == (["ai_scan:busy"] * 3, ["ai_scan:busy"] * 3 + ["ai_scan:quiet"])


def test_this_machine_may_have_the_last_slot_as_well() -> None:
    assert fill(Slots(6, THREE), ["ai_scan"], [""]) == ["ai_scan:"] * 4


def test_pipelines_that_wait_get_equal_shares_in_turn() -> None:
    assert [job.partition(":")[0] for job in fill(Slots(5, THREE), list(THREE))] == [*THREE, *THREE][:5]


def test_a_single_slot_goes_round_the_pipelines() -> None:
    slots = Slots(1, THREE)
    order = []
    for _ in range(6):
        first = next(iter(slots.open_to([])))
        slots.taken(first)
        order.append(first)
    assert order == [*THREE, *THREE]


@given(st.dictionaries(st.sampled_from("pqrst"), st.none() | st.integers(1, 6), min_size=1), st.data())
def test_a_pipeline_without_a_running_job_finds_a_slot_whatever_the_others_have_taken(
    defaults: Mapping[str, int | None], data: st.DataObject
) -> None:
    others = len(defaults) - 1
    total = data.draw(st.integers(2 * others, 12).filter(bool), label="slots, twice as many as there are others")
    busy = data.draw(st.sets(st.sampled_from(sorted(defaults)), max_size=others))
    slots = Slots(total, defaults)
    taken = fill(slots, sorted(busy))
    assert len(taken) <= total
    assert set(defaults) - busy <= set(slots.open_to(running(*taken)))
