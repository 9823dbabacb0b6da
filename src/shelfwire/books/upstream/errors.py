"""How a request to an outside service fails. Neither the texts nor the causes hold anything that was sent."""


class UpstreamError(Exception):
    """The service gave no usable answer.

    Attributes:
        service: its name.
    """

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"{service} {reason}")
        self.service = service


class UpstreamTimeout(UpstreamError):  # noqa: N818 - named for what happened, like the others
    """It did not answer in time."""


class RateLimited(UpstreamError):  # noqa: N818 - as above
    """It accepts no more requests for now."""


class Unavailable(UpstreamError):  # noqa: N818 - as above
    """It cannot be reached, or answers with a server error."""


class RequestRejected(UpstreamError):  # noqa: N818 - as above
    """It answered that the request is wrong, which a retry does not change.

    Attributes:
        status: the HTTP status, neither 2xx nor one that is retried.
        body: the answer; not for a log, as it may repeat what was sent.
    """

    def __init__(self, service: str, status: int, body: bytes) -> None:
        super().__init__(service, f"refused the request with status {status}")
        self.status = status
        self.body = body
