"""Helpers for tests, also of plug-ins: a clock turned by hand, a store in memory, and the contract of every store."""

from shelfwire.testing.clock import FakeClock
from shelfwire.testing.commits import CommitsContract
from shelfwire.testing.corrections import CorrectionsContract
from shelfwire.testing.endings import EndingsContract, announce
from shelfwire.testing.memory import MemoryDatabase, MemoryStore
from shelfwire.testing.nodes import MakeNode, NodesContract
from shelfwire.testing.operators import OperatorsContract
from shelfwire.testing.owners import OwnersContract
from shelfwire.testing.remote import RemoteContract
from shelfwire.testing.stores import (
    NOW,
    POLICY,
    AttemptsContract,
    MakeStore,
    add_job,
    claim,
    encode_terminal,
    encoded,
    ending,
)
from shelfwire.testing.turns import TurnsContract


class StoreContract(
    AttemptsContract,
    CommitsContract,
    CorrectionsContract,
    EndingsContract,
    OperatorsContract,
    OwnersContract,
    RemoteContract,
    TurnsContract,
):
    """The contract of `JobStore` as tests. Subclass it with a fixture `make_store` that returns a `MakeStore`.

    The stores that this opens are given `encode_terminal` and `announce`.
    """


__all__ = [
    "NOW",
    "POLICY",
    "FakeClock",
    "MakeNode",
    "MakeStore",
    "MemoryDatabase",
    "MemoryStore",
    "NodesContract",
    "StoreContract",
    "add_job",
    "announce",
    "claim",
    "encode_terminal",
    "encoded",
    "ending",
]
