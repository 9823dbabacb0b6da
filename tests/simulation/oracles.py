"""What must hold in every history: the promises of `docs/protocol.md`, one function for each place where they show."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from shelfwire.protocol.job import HELD, JobState, Status
from shelfwire.protocol.messages import JobProgress, JobStarted, Message, Pong, UndecodableError, decode, encode
from shelfwire.protocol.tokens import Grant
from shelfwire.testing.memory import MemoryJob
from tests.simulation.loop import Process
from tests.simulation.plans import EPOCH, Conditions

MOST_REPORTED: Final = 4
"""Violations of one kind that are kept."""
SURPLUS_FRAMES: Final = 6
"""Frames beyond a connection's window that may be on the way: what one batch and its close hold."""


MOST_EXPIRED: Final = 6.5
"""Seconds for which a follower may outlive its token: the server may be frozen for five."""


class Violation(NamedTuple):
    """Something that must not be.

    Attributes:
        kind: what was broken: the number of the promise, or `tokens`, `engine`, `waiting`, and a word.
        at: when, in seconds.
        text: details.
    """

    kind: str
    at: float
    text: str


class Generation:
    """One job from its creation to its erasure; an id may have several, one after the other.

    Attributes:
        job: what is stored.
        revisions: the committed rows by `seq`.
        terminal: the terminal message, once there is one; it outlives the job.
    """

    def __init__(self, job: MemoryJob) -> None:
        self.job = job
        self.revisions: dict[int, JobState] = {job.state.seq: job.state}

    @property
    def terminal(self) -> str | None:
        return self.job.terminal


class Oracles:
    """Watches a history, and counts what is rare in it.

    Args:
        now: returns the seconds since the beginning.
        conditions: those of the history.
        trace: receives what happens, for people.

    Attributes:
        violations: what was broken.
        seen: how often each state was reached that histories must reach.
        generations: by id, the newest last.
    """

    def __init__(self, now: Callable[[], float], conditions: Conditions, trace: Callable[[str], None]) -> None:
        self.now = now
        self.trace = trace
        self._conditions = conditions
        self.violations: list[Violation] = []
        self.seen: Counter[str] = Counter()
        self.generations: dict[str, list[Generation]] = {}
        self.revoked: dict[bytes, tuple[float, int]] = {}
        self._of_token: dict[bytes, Generation] = {}
        self._expires_at: dict[bytes, int] = {}
        self._holders: dict[str, Process] = {}
        self._decoded: dict[str, Message] = {}

    def saw(self, what: str) -> None:
        self.seen[what] += 1

    def violated(self, kind: str, text: str) -> None:
        self.trace(f"VIOLATION {kind}: {text}")
        if sum(violation.kind == kind for violation in self.violations) < MOST_REPORTED:
            self.violations.append(Violation(kind, round(self.now(), 3), text[:300]))

    # Commits.

    def created(self, job: MemoryJob) -> None:
        known = self.generations.setdefault(job.state.id, [])
        known.append(Generation(job))
        if len(known) > 1:
            self.saw("an id was made again")
        self.trace(f"row {_brief(job.state)}")

    def token_made(self, grant: Grant) -> None:
        self._of_token[grant.digest] = self.generations[grant.job_id][-1]
        if grant.expires_at is not None:
            self._expires_at[grant.digest] = grant.expires_at

    def claimed(self, job_id: str, before: JobState, by: Process) -> None:
        """Note who has a job now, and whether it is taken from somebody who lives."""
        holder = self._holders.get(job_id)
        self._holders[job_id] = by
        if before.status not in HELD or holder is None or holder is by:
            return
        self.saw("a job was taken over from another process")
        if holder.alive and not holder.frozen:
            self.saw("a job was taken over from a node that lives")
            if self._conditions.steadfast:
                self.violated("engine", f"{job_id} was taken over from {holder.name}, which lives")

    def committed(self, job: MemoryJob, before: JobState) -> None:
        after = job.state
        generation = self.generations[after.id][-1]
        generation.revisions[after.seq] = after
        self.trace(f"row {_brief(after)}")
        if before.ended and after != before:
            self.violated("3 changed", f"an ended row was written: {_brief(before)} -> {_brief(after)}")
        closes = after.status not in HELD  # the last progress and the ending are one commit and two revisions
        if not before.seq <= after.seq <= before.seq + 1 + closes:
            self.violated("2 seq", f"{before.seq} -> {after.seq}")
        renewed = msgspec.structs.replace(after, lease_until=before.lease_until, number=before.number)
        if after.seq == before.seq and renewed != before:
            self.violated("2 invisible", f"{before} -> {after}")
        if after.processed < before.processed:
            self.violated("2 processed", f"{before.processed} -> {after.processed}")
        if after.recorded != len(job.items):
            self.violated("7 count", f"{after.id} says {after.recorded}, its log has {len(job.items)}")
        whole = after.reported or sorted(job.items) == list(range(after.total or 0))
        if after.status is Status.COMPLETE and not whole:
            self.violated("7 holes", f"{after.id} is complete with {sorted(job.items)} of {after.total}")
        self._count_change(before, after)

    def _count_change(self, before: JobState, after: JobState) -> None:
        names = [str(state.status) + (" pausing" if state.pausing else "") for state in (before, after)]
        if names[0] != names[1]:
            self.saw(" -> ".join(names))
        if after.stalled and not before.stalled:
            self.saw("stalled")
        if after.status is Status.FAILED and after.pipeline != "raising":
            self.violated("engine", f"a job failed that nothing is wrong with: {after.error}")

    def erased(self, job: MemoryJob) -> None:
        self.trace(f"erased {job.state.id[:8]}")

    # Messages.

    def message(self, text: str) -> Message:
        found = self._decoded.get(text)
        if found is None:
            decoded = decode(text)
            if not isinstance(decoded, Message):
                raise UndecodableError("a message of an unknown type")
            found = self._decoded[text] = decoded
        return found

    def shown(self, message: Message, text: str | None, token: bytes) -> JobState | None:
        """Check that what is shown is committed now, and is of the token's job; return its revision."""
        generation = self._of_token.get(token)
        candidates = self.generations.get(message.job_id, [])
        for known in reversed(candidates):
            row = known.revisions.get(message.seq or 0)
            if row is None or not _shows(message, row):
                continue
            if message.terminal and known.terminal != (encode(message) if text is None else text):
                self.violated("3 another ending", f"{message.job_id} {text}")
            if generation is not known and generation is not None:
                continue
            return row
        what = f"{message.type} seq {message.seq} of {message.job_id}"
        self.violated("1 not committed", f"{what}, or it is another job's of this id")
        return None

    def ended(self, message: Message, since: float) -> None:
        """Check that an ending comes in time to somebody who has followed since before."""
        at = (message.timestamp - EPOCH) / 1000
        if self._conditions.steadfast and since < at < self.now() - self._conditions.unheard:
            self.violated("3 late", f"the ending of {message.job_id} came {self.now() - at:.3f} s after its commit")

    def answered(self, state: dict[str, Any], token: bytes) -> None:
        """Check a state document."""
        generation = self._of_token.get(token)
        row = generation.revisions.get(state["seq"]) if generation is not None else None
        if row is None or (str(row.status), row.processed) != (state["status"], state["processedCount"]):
            self.violated("1 state", f"{state['state']} seq {state['seq']} was answered for the token of another job")

    def handed_over(self, token: bytes, what: str, asked_at: float | None = None, node: int | None = None) -> None:
        """Check that the transport is handed nothing for a token that was revoked before.

        Args:
            token: its digest.
            what: is handed over.
            asked_at: when it was asked for; None for what comes by itself.
            node: what comes by itself comes from this node, which hears of a revocation on another one a little later.
        """
        if node is not None:
            self._check_expiry(token, what)
        if token not in self.revoked:
            return
        revoked_at, revoked_on = self.revoked[token]
        at = self.now() if asked_at is None else asked_at
        if node not in {None, revoked_on}:
            at -= self._conditions.unheard
            self.saw("something was sent before a node heard of a revocation")
        if at > revoked_at:
            self.violated("tokens", f"{what} was sent {at - revoked_at:.3f} s after its token was revoked")

    def _check_expiry(self, token: bytes, what: str) -> None:
        if self._conditions.clocks_agree and token in self._expires_at:
            late = EPOCH / 1000 + self.now() - self._expires_at[token] / 1000
            if late > MOST_EXPIRED:
                self.violated("tokens", f"{what} was sent {late:.3f} s after its token had expired")


class Story:
    """What one connection, or one client over all its connections, was shown.

    Args:
        oracles: the oracles of the history.
        token: digest of the token.
        fresh: whether it has seen nothing before, so that the start must come before the ending.
        interval: seconds between two messages of progress at least; None where it is not promised.
    """

    def __init__(self, oracles: Oracles, token: bytes, *, fresh: bool, interval: float | None) -> None:
        self.ending: Message | None = None
        self._oracles = oracles
        self._token = token
        self._fresh = fresh
        self._interval = interval
        self._seq = 0
        self._processed = 0
        self._starts = 0
        self._progress_at = float("-inf")
        self._since = oracles.now()

    def hear(self, message: Message, text: str | None = None, *, answers: bool = False) -> None:
        """Check one message; `answers` if it may be the answer to a `sync_request`."""
        if isinstance(message.payload, Pong):
            return
        oracles = self._oracles
        if self.ending is not None:
            oracles.violated("3 after", f"{message.type} came after the ending")
        row = oracles.shown(message, text, self._token)
        seq = message.seq or 0
        if seq < self._seq:
            oracles.violated("2 shown seq", f"{self._seq} -> {seq}")
        self._seq = seq
        if message.terminal:
            self.ending = message
            oracles.ended(message, self._since)
            if self._fresh and not self._starts and row is not None and row.started_at is not None:
                oracles.violated("5 start", f"the ending of {message.job_id} came without its start")
        elif isinstance(message.payload, JobStarted):
            self._starts += 1
            if self._starts > 1:
                oracles.violated("5 start", f"{message.job_id} started twice")
        elif isinstance(message.payload, JobProgress):
            self._progress(message.payload, answers=answers)

    def _progress(self, payload: JobProgress, *, answers: bool) -> None:
        count, now = payload.processed_count, self._oracles.now()
        if count < self._processed:
            self._oracles.violated("2 shown processed", f"{self._processed} -> {count}")
        self._processed = count

        if self._interval is not None and not answers:
            if now - self._progress_at < self._interval - 1e-9:
                self._oracles.violated("5 interval", f"progress came {now - self._progress_at:.4f} s after progress")
            self._progress_at = now


def _shows(message: Message, row: JobState) -> bool:
    if row.updated_at != message.timestamp:
        return False
    payload = message.payload
    return not isinstance(payload, JobProgress) or (
        (payload.processed_count, payload.failure_count, payload.state) == (row.processed, row.failed, str(row.status))
    )


def _brief(row: JobState) -> str:
    status = f"{row.status}{' pausing' if row.pausing else ''}"
    return f"{row.id[:8]} {row.pipeline} {status} seq {row.seq} attempt {row.attempt} {row.processed}/{row.total}"
