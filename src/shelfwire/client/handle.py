"""The way back to a job."""

from typing import Annotated
from urllib.parse import quote

import msgspec

from shelfwire.client.errors import read
from shelfwire.client.http import Response, header_value

TokenText = Annotated[str, msgspec.Meta(pattern=r"\A[!-~]+\Z")]


class JobHandle(msgspec.Struct, frozen=True):
    """What it takes to come back to a job. The token is a secret: keep it where only its owner can read it.

    Attributes:
        job_id: the job.
        token: what lets its holder in.
        expires_at: when the token ends, in milliseconds since the epoch; None lasts as long as the job.
    """

    job_id: str
    token: str
    expires_at: int | None = None

    def __repr__(self) -> str:
        return f"JobHandle({self.job_id!r}, token=…)"

    def path(self, below: str = "") -> str:
        """Where the job is on its server, whatever stands in its id."""
        return f"/api/jobs/{quote(self.job_id, safe='')}{below}"

    @property
    def bearer(self) -> dict[str, str]:
        """The header that shows the token.

        Raises:
            ValueError: it cannot be a token.
        """
        return {"Authorization": f"Bearer {header_value(self.token, 'The token')}"}


class _Created(msgspec.Struct, frozen=True, rename="camel"):
    job_id: str
    token: TokenText
    token_expires_at: int | None = None


class _Token(msgspec.Struct, frozen=True, rename="camel"):
    token: TokenText
    expires_at: int | None = None


def created_in(answer: Response) -> JobHandle:
    """The way back to a job that was made.

    Raises:
        RefusedError: the answer tells of none.
    """
    created = read(answer, _Created)
    return JobHandle(created.job_id, created.token, created.token_expires_at)


def token_in(answer: Response, job: JobHandle) -> JobHandle:
    """The way back to a job by another token.

    Raises:
        RefusedError: the answer holds none.
    """
    made = read(answer, _Token)
    return JobHandle(job.job_id, made.token, made.expires_at)
