"""The way back to a job."""

from urllib.parse import quote

import msgspec

from shelfwire.client.wire import header_value


class JobRef(msgspec.Struct, frozen=True):
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
        return f"JobRef({self.job_id!r}, token=…)"

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
