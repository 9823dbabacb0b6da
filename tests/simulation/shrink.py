"""Makes a plan that breaks something as small as it can be."""

from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from tests.simulation.plans import Conditions, Plan
from tests.simulation.world import run

SCHEDULES: Final = 6
"""Schedules that a smaller plan is tried with: what broke may need another one now."""


def shrink(plan: Plan, tried: Callable[[Plan], None] = lambda _: None) -> Plan:
    """Return the smallest plan found that breaks the same promise as this one.

    Args:
        plan: one that breaks something.
        tried: receives each smaller plan that does as well.
    """
    kind = run(plan).violations[0].kind
    smaller = _first_broken(plan, kind)
    while smaller is not None:
        plan = smaller
        tried(plan)
        smaller = _first_broken(plan, kind)
    return plan


def _first_broken(plan: Plan, kind: str) -> Plan | None:
    for smaller in _smaller(plan):
        for number in range(SCHEDULES):
            schedule = plan.schedule if number == 0 else f"{plan.schedule}.{number}"
            rescheduled = msgspec.structs.replace(smaller, schedule=schedule)
            if any(violation.kind == kind for violation in run(rescheduled).violations):
                return rescheduled
    return None


def _smaller(plan: Plan) -> Iterator[Plan]:
    """Plans with one thing less, the largest steps first."""
    replace = msgspec.structs.replace
    for size in (len(plan.acts) // 2, len(plan.acts) // 4, 1):
        for start in range(0, len(plan.acts), max(1, size)) if size else ():
            yield replace(plan, acts=plan.acts[:start] + plan.acts[start + size :])
    for number in range(len(plan.followers)):
        fewer = plan.followers[:number] + plan.followers[number + 1 :]
        if not any(act.do.startswith("network") for act in plan.acts):
            yield replace(plan, followers=fewer)
    usual = Conditions()
    for name in Conditions.__struct_fields__:
        if getattr(plan.conditions, name) != getattr(usual, name) and name not in {"shuffled", "flush_interval"}:
            yield replace(plan, conditions=replace(plan.conditions, **{name: getattr(usual, name)}))
