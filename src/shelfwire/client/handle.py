"""The handle of a job: what it takes to come back to it."""

from typing import Annotated
from urllib.parse import quote

import msgspec

from shelfwire.client.errors import read
from shelfwire.client.http import Response, header_value

TokenText = Annotated[str, msgspec.Meta(pattern=r"\A[!-~]+\Z")]


class JobHandle(msgspec.Struct, frozen=True):
    """A job's id and token: all it takes to come back to it. Keep it where only its owner can read it.

    Attributes:
        job_id: the job.
        token: the secret that authorizes access.
        expires_at: when the token expires, in milliseconds since the epoch; None means with the job.
    """

    job_id: str
    token: str
    expires_at: int | None = None

    def __repr__(self) -> str:
        return f"JobHandle({self.job_id!r}, token=…)"

    def path(self, below: str = "") -> str:
        """Return the route of the job, or of one below it, whatever characters its id has."""
        return f"/api/jobs/{quote(self.job_id, safe='')}{below}"

    @property
    def bearer(self) -> dict[str, str]:
        """The header that carries the token.

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
    """Return the handle of the job in the answer to its creation.

    Raises:
        RefusedError: the answer holds none.
    """
    created = read(answer, _Created)
    return JobHandle(created.job_id, created.token, created.token_expires_at)


def token_in(answer: Response, job: JobHandle) -> JobHandle:
    """Return the handle of a job with the token in an answer.

    Raises:
        RefusedError: the answer holds none.
    """
    made = read(answer, _Token)
    return JobHandle(job.job_id, made.token, made.expires_at)
