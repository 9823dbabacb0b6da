"""Copies a folder into a database job by job, and compares both. It may be broken off anywhere, and run again."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import Final, NamedTuple, Protocol, TypeVar

import msgspec
import psycopg

from shelfwire.protocol.job import decode_row
from shelfwire.stores.transfer.source import Source
from shelfwire.stores.transfer.tables import (
    MODULUS,
    OF_JOBS,
    OF_SERVICE,
    Copied,
    Values,
    digest_of,
    freed,
    job_values,
    shortened,
)
from shelfwire.stores.transfer.target import Target

T = TypeVar("T")
JOBS: Final = "jobs"
ROWS_PER_STEP: Final = 1000
"""Rows after which is said how far it is."""
DAMAGE: Final = (
    *(msgspec.DecodeError, UnicodeError, ValueError, TypeError, AttributeError, OverflowError),
    *(psycopg.DataError, psycopg.IntegrityError),
)
"""What a row raises that cannot be read, or that PostgreSQL does not take."""


class Step(NamedTuple):
    """How far it is.

    Attributes:
        doing: what is done, for people.
        jobs: the jobs that are done.
        of: the jobs that are to be done; 0 where only rows are counted.
        rows: the rows that are done.
    """

    doing: str
    jobs: int
    of: int
    rows: int


Report = Callable[[Step], None]


class Counted(Protocol):
    """Passes rows on, and counts them."""

    def __call__(self, read: Iterator[T]) -> Iterator[T]:
        """Return the same rows."""
        ...


class Side(NamedTuple):
    """What is in a folder, or in a database.

    Attributes:
        jobs: a digest of each job with all that belongs to it, by its id.
        shared: a digest of what is of all jobs, by the name of its kind.
        counts: the rows of each kind.
    """

    jobs: dict[str, int]
    shared: dict[str, int]
    counts: dict[str, int]


class Comparison(NamedTuple):
    """Both sides, and what differs.

    Attributes:
        damaged: the jobs of the folder that cannot be read; they are on neither side.
        source: the folder.
        target: the database.
    """

    damaged: frozenset[str]
    source: Side
    target: Side

    @property
    def differing(self) -> list[str]:
        """The ids of jobs that are not the same, or on one side only."""
        ids = self.source.jobs.keys() | self.target.jobs.keys()
        return sorted(one for one in ids if self.source.jobs.get(one) != self.target.jobs.get(one))

    @property
    def differing_kinds(self) -> list[str]:
        """The names of what is of all jobs and not the same."""
        return [kind.name for kind in OF_SERVICE if self.source.shared[kind.name] != self.target.shared[kind.name]]

    @property
    def is_same(self) -> bool:
        """Whether nothing differs."""
        return not (self.differing or self.differing_kinds)


def copy(source: Source, target: Target, report: Report) -> Comparison:
    """Copy what is not there yet, compare, and copy again what was copied before and has changed since.

    The caller has marked the database, and opens it for servers if the comparison satisfies it.
    """
    damaged = _copy_missing(source, target, report)
    target.replace_shared(source.rows)
    compared = compare(source, target, report, damaged)
    changed = compared.differing
    if not changed:
        return compared
    now = target.now()
    for job_id in changed:
        row = source.job(job_id)
        if row is None:
            target.erase(job_id)
        elif not _is_copied(source, target, job_id, row, now, _counting("Copying again what has changed", report)):
            damaged.add(job_id)
    return compare(source, target, report, damaged)


def compare(source: Source, target: Target, report: Report, damaged: Collection[str] = ()) -> Comparison:
    """Read both sides whole, and compare them.

    Args:
        source: the folder.
        target: the database.
        report: hears how far it is.
        damaged: jobs that are known to be damaged.
    """
    there = _target_side(target, _counting("Reading the database", report))
    return Comparison(*_source_side(source, _counting("Reading the folder", report), damaged), there)


def _copy_missing(source: Source, target: Target, report: Report) -> set[str]:
    """Copy the jobs that the database does not have; return those that are damaged."""
    damaged = set()
    there, now, count = target.ids(), target.now(), source.job_count()
    done = rows = 0

    def counted(read: Iterator[T]) -> Iterator[T]:
        nonlocal rows
        for one in read:
            rows += 1
            if rows % ROWS_PER_STEP == 0:
                report(Step("Copying", done, count, rows))
            yield one

    for done, (job_id, row) in enumerate(source.jobs()):
        report(Step("Copying", done, count, rows))
        if job_id not in there and not _is_copied(source, target, job_id, row, now, counted):
            damaged.add(job_id)
    return damaged


def _is_copied(source: Source, target: Target, job_id: str, row: str, now: int, counted: Counted) -> bool:
    """Copy a job, and return whether it was not damaged."""
    try:
        target.replace(freed(decode_row(row), now), lambda kind: counted(source.rows_of(kind, job_id)))
    except DAMAGE:
        return False
    return True


def _counting(doing: str, report: Report) -> Counted:
    """Return what reports rows while they are read, over several readings."""
    rows = 0

    def counted(read: Iterator[T]) -> Iterator[T]:
        nonlocal rows
        for one in read:
            rows += 1
            if rows % ROWS_PER_STEP == 0:
                report(Step(doing, 0, 0, rows))
            yield one

    return counted


def _source_side(source: Source, counted: Counted, damaged: Collection[str]) -> tuple[frozenset[str], Side]:
    """Return the jobs that are damaged, and the digests and numbers of all others."""
    bad = set(damaged)
    jobs: dict[str, int] = {}
    counts: Counter[str] = Counter()
    for job_id, row in counted(source.jobs()):
        try:
            jobs[job_id] = digest_of(JOBS, job_values(decode_row(row)))
        except DAMAGE:
            bad.add(job_id)
    for kind in OF_JOBS:
        for job_id, values in counted(source.owned_rows(kind)):
            if job_id not in jobs or job_id in bad:
                continue  # what is left of a job that was erased, or of an upload that was broken off
            try:
                digest = digest_of(kind.name, shortened(kind.convert(*values)))
            except DAMAGE:
                bad.add(job_id)
            else:
                jobs[job_id] = (jobs[job_id] + digest) % MODULUS
                counts[kind.name] += 1
    sound = {job_id: digest for job_id, digest in jobs.items() if job_id not in bad}
    return frozenset(bad), _side(sound, counts, lambda kind: counted(source.rows(kind)))


def _target_side(target: Target, counted: Counted) -> Side:
    jobs = {job_id: digest_of(JOBS, values) for job_id, values in counted(target.jobs())}
    counts: Counter[str] = Counter()
    for kind in OF_JOBS:
        for job_id, *values in counted(target.rows(kind)):
            jobs[job_id] = (jobs[job_id] + digest_of(kind.name, tuple(values))) % MODULUS
            counts[kind.name] += 1
    return _side(jobs, counts, lambda kind: counted(target.rows(kind)))


def _side(jobs: dict[str, int], counts: Counter[str], shared: Callable[[Copied], Iterator[Values]]) -> Side:
    """Add what is of all jobs."""
    digests = {}
    for kind in OF_SERVICE:
        digest = 0
        for values in shared(kind):
            digest = (digest + digest_of(kind.name, values)) % MODULUS
            counts[kind.name] += 1
        digests[kind.name] = digest
    return Side(jobs, digests, {JOBS: len(jobs), **{kind.name: counts[kind.name] for kind in (*OF_JOBS, *OF_SERVICE)}})
