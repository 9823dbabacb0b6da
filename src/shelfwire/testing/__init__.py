"""For tests, ours and yours: a clock to turn by hand, and the contract that every store must pass."""

from shelfwire.testing.clock import FakeClock
from shelfwire.testing.owners import OwnersContract
from shelfwire.testing.stores import (
    NOW,
    POLICY,
    AttemptsContract,
    MakeStore,
    add_job,
    claim,
    conclude,
    encoded,
    ending,
)


class StoreContract(AttemptsContract, OwnersContract):
    """What `JobStore` promises, as tests. Subclass it with a fixture `make_store` that gives a `MakeStore`."""


__all__ = [
    "NOW",
    "POLICY",
    "FakeClock",
    "MakeStore",
    "StoreContract",
    "add_job",
    "claim",
    "conclude",
    "encoded",
    "ending",
]
