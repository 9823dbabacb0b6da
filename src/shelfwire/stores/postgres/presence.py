"""Which processes live, within a caller's session."""

from typing import Final

from shelfwire.stores.postgres.connections import Session
from shelfwire.stores.postgres.inputs import NOW

LATELY: Final = 30_000
"""Milliseconds for which a process that has said so is taken to live."""
FORGOTTEN: Final = 3_600_000
"""Milliseconds after which it may be forgotten."""
SAY: Final = f"""
INSERT INTO shelfwire.probe VALUES (%(process)s, {NOW}) ON CONFLICT (node) DO UPDATE SET at = excluded.at
"""  # noqa: S608 - of constants, as all here
COUNT: Final = f"SELECT count(*) FROM shelfwire.probe WHERE at > {NOW} - {LATELY}"  # noqa: S608
FORGET: Final = f"DELETE FROM shelfwire.probe WHERE at <= {NOW} - {FORGOTTEN}"  # noqa: S608


async def be(session: Session, process: str) -> int:
    """Say that a process lives, which writes to the database; return how many have done so lately, at least 1."""
    _, ((count,),) = await session.together([(SAY, {"process": process}), (COUNT, {})])
    return int(count)


async def forget(session: Session) -> None:
    """Erase those that have said nothing for long."""
    await session.execute(FORGET)
