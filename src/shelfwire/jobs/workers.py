"""All who do jobs: the worker of this process, and those outside of the server."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from shelfwire.jobs.nodes import Hint, HintKind
from shelfwire.jobs.remote import RemoteAttempts
from shelfwire.jobs.remote_claims import RemoteClaims
from shelfwire.jobs.worker import Worker


class Workers(NamedTuple):
    """All who do jobs.

    Attributes:
        inside: the worker of this process.
        claims: gives jobs to workers outside of the server.
        remote: the attempts of these.
        send: receives hints for other nodes; None where there are none.
    """

    inside: Worker
    claims: RemoteClaims
    remote: RemoteAttempts
    send: Callable[[Iterable[Hint]], None] | None = None

    def wake(self, pipeline: str | None = None) -> None:
        """Let somebody look for a job of this pipeline at once; of any, if it is not known."""
        self.hear_queued(pipeline)
        if self.send is not None:
            self.send([Hint(HintKind.QUEUE)])

    def hear_queued(self, pipeline: str | None = None) -> None:
        """Let somebody here look for a job, because another node has one to claim; `pipeline` as for `wake`."""
        self.inside.wake()
        for waited in self.claims.waiters.pipelines if pipeline is None else [pipeline]:
            self.claims.waiters.wake(waited)

    @property
    def stalled(self) -> int:
        """Number of jobs whose workers, on this node or elsewhere, have recorded nothing for long."""
        return self.inside.stalled + self.remote.stalled

    def check(self, job_id: str) -> None:
        """Let the job's worker know at once, or when it reports next, that its owner has changed it."""
        self.hear_control(job_id)
        if self.send is not None:
            self.send([Hint(HintKind.CONTROL, job_id)])

    def hear_control(self, job_id: str) -> None:
        """Let the job's worker know, if it is here, that its owner has changed it on another node."""
        self.inside.check(job_id)
        self.remote.check(job_id)
