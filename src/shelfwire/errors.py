"""The table of error codes, which a plug-in extends with its own, and the exception that carries one of them.

Source of the codes: section 5 of the wire contract (`docs/protocol.md`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """What the table says about one code.

    Attributes:
        status: HTTP status where the code answers a request.
        retryable: whether the same request, or a new job, may succeed later.
        message: technical default, for logs and developers.
        user_message: default for a person: what happened and what to do next.
    """

    status: int
    retryable: bool
    message: str
    user_message: str


class ErrorCode(StrEnum):
    """A part of the table of error codes. Inherit it to add codes, each with its `CodeEntry`.

    For example:

        class MyCode(ErrorCode):
            LINE_TOO_LONG = "E_LINE_TOO_LONG", CodeEntry(422, retryable=False, message="…", user_message="…")

    A code is up to 64 of A-Z, 0-9 and _, and begins with `E_`.
    """

    entry: CodeEntry

    def __new__(cls, code: str, entry: CodeEntry) -> Self:
        """Make a member; called for each line of the class."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.entry = entry
        return member


class Code(ErrorCode):
    """The codes of the engine."""

    UNAUTHORIZED = (
        "E_UNAUTHORIZED",
        CodeEntry(
            401,
            retryable=False,
            message="The token is missing or not valid for this job",
            user_message="You are not signed in to this job. Start it again, or use the link it came with.",
        ),
    )
    TOKEN_EXPIRED = (
        "E_TOKEN_EXPIRED",
        CodeEntry(
            401,
            retryable=False,
            message="Token expired",
            user_message="Your access to this job has run out. Start the job again to get new access.",
        ),
    )
    FORBIDDEN = (
        "E_FORBIDDEN",
        CodeEntry(
            403,
            retryable=False,
            message="The token lacks the scope that this needs",
            user_message="You may look at this job but not do this.",
        ),
    )
    NOT_FOUND = (
        "E_NOT_FOUND",
        CodeEntry(
            404,
            retryable=False,
            message="No such route",
            user_message="There is nothing at this address. Check it for a typing error.",
        ),
    )
    METHOD_NOT_ALLOWED = (
        "E_METHOD_NOT_ALLOWED",
        CodeEntry(
            405,
            retryable=False,
            message="The route exists, but not for this method",
            user_message="This address does not take this kind of request.",
        ),
    )
    MISDIRECTED = (
        "E_MISDIRECTED",
        CodeEntry(
            421,
            retryable=False,
            message="The server does not answer for this host",
            user_message="This service does not answer at this address. Ask its operator for the right one.",
        ),
    )
    JOB_EXISTS = (
        "E_JOB_EXISTS",
        CodeEntry(
            409,
            retryable=False,
            message="A job with this id exists",
            user_message="This job has been started already.",
        ),
    )
    JOB_STATE = (
        "E_JOB_STATE",
        CodeEntry(
            409,
            retryable=False,
            message="The job's state does not allow this",
            user_message="This is not possible in the job's present state.",
        ),
    )
    JOB_CANCELED = (
        "E_JOB_CANCELED",
        CodeEntry(
            409,
            retryable=True,
            message="The job was canceled on request",
            user_message="You canceled this job. What it had done until then is kept.",
        ),
    )
    INVALID_REQUEST = (
        "E_INVALID_REQUEST",
        CodeEntry(
            400,
            retryable=False,
            message="The request is not valid",
            user_message="Something is missing from the request, or not in the expected form.",
        ),
    )
    FILE_TOO_LARGE = (
        "E_FILE_TOO_LARGE",
        CodeEntry(
            413,
            retryable=False,
            message="The upload is larger than allowed",
            user_message="This file is too large. Split it into smaller files and send them one by one.",
        ),
    )
    UNSUPPORTED_MEDIA = (
        "E_UNSUPPORTED_MEDIA",
        CodeEntry(
            415,
            retryable=False,
            message="The request's content type is not supported",
            user_message="This kind of upload is not supported. Send the file as a form upload.",
        ),
    )
    IDEMPOTENCY_MISMATCH = (
        "E_IDEMPOTENCY_MISMATCH",
        CodeEntry(
            422,
            retryable=False,
            message="The Idempotency-Key was used before, with other input",
            user_message="This was sent before with other content. Start it again from the beginning.",
        ),
    )
    ITEM_TOO_LARGE = (
        "E_ITEM_TOO_LARGE",
        CodeEntry(
            422,
            retryable=False,
            message="The result of the item is too large to be kept",
            user_message="The result for this item is too large to be kept.",
        ),
    )
    ITEM_INVALID = (
        "E_ITEM_INVALID",
        CodeEntry(
            422,
            retryable=False,
            message="The result of the item cannot be kept as JSON",
            user_message="The result for this item is not in a form that can be kept.",
        ),
    )
    ITEM_UNKNOWN = (
        "E_ITEM_UNKNOWN",
        CodeEntry(
            422,
            retryable=False,
            message="The report is about an item that the job does not have",
            user_message="This job does not have as many items as its worker says. Tell whoever runs the worker.",
        ),
    )
    REPORT_INVALID = (
        "E_REPORT_INVALID",
        CodeEntry(
            422,
            retryable=False,
            message="The report says something that cannot be",
            user_message="The worker of this job has sent something that cannot be. Tell whoever runs the worker.",
        ),
    )
    REPORT_NUMBER = (
        "E_REPORT_NUMBER",
        CodeEntry(
            409,
            retryable=False,
            message="The report does not have the attempt's next number",
            user_message="The worker of this job has lost count of its reports. Tell whoever runs the worker.",
        ),
    )
    LEASE_LOST = (
        "E_LEASE_LOST",
        CodeEntry(
            409,
            retryable=False,
            message="The attempt does not hold the job any more: stop, and report nothing more",
            user_message="Somebody else goes on with this job, or it has ended.",
        ),
    )
    WORKER_LOST = (
        "E_WORKER_LOST",
        CodeEntry(
            503,
            retryable=True,
            message="The job's worker has not been heard of for too long, and no other has claimed the job",
            user_message="Whoever worked on this has not been heard of for too long. Please start it again.",
        ),
    )
    MATCHES_CHANGED = (
        "E_MATCHES_CHANGED",
        CodeEntry(
            409,
            retryable=True,
            message="Other jobs match than were counted; nothing was done",
            user_message="The jobs have changed since they were counted. Look at them again.",
        ),
    )
    PIPELINE_INTERNAL = (
        "E_PIPELINE_INTERNAL",
        CodeEntry(
            409,
            retryable=False,
            message="The server runs this pipeline itself",
            user_message="This kind of job is done by the service itself.",
        ),
    )
    CALLBACK_REFUSED = (
        "E_CALLBACK_REFUSED",
        CodeEntry(
            422,
            retryable=False,
            message="The server may not call this address when the job ends",
            user_message="This service may not call that address when the job ends. Leave it out.",
        ),
    )
    PIPELINE_UNAVAILABLE = (
        "E_PIPELINE_UNAVAILABLE",
        CodeEntry(
            501,
            retryable=False,
            message="The server lacks what this pipeline needs",
            user_message="This service cannot do this yet. Its operator has to set that up first.",
        ),
    )
    RATE_LIMITED = (
        "E_RATE_LIMITED",
        CodeEntry(
            429,
            retryable=True,
            message="The caller has created as many jobs as it may for now",
            user_message="That was a lot at once. Please wait a minute and try again.",
        ),
    )
    OVERLOADED = (
        "E_OVERLOADED",
        CodeEntry(
            503,
            retryable=True,
            message="The server has reached its limit of connections",
            user_message="The service is very busy. Please try again in a moment.",
        ),
    )
    STORAGE_UNAVAILABLE = (
        "E_STORAGE_UNAVAILABLE",
        CodeEntry(
            503,
            retryable=True,
            message="The store cannot be written or read",
            user_message="The service cannot save your data right now. Please try again in a moment.",
        ),
    )
    ATTEMPTS_EXHAUSTED = (
        "E_ATTEMPTS_EXHAUSTED",
        CodeEntry(
            500,
            retryable=True,
            message="The job kept failing and was given up",
            user_message="This job failed several times and was stopped. What it had done until then is kept.",
        ),
    )
    INTERNAL = (
        "E_INTERNAL",
        CodeEntry(
            500,
            retryable=True,
            message="An error of the server's own",
            user_message="Something went wrong on our side. Please try again.",
        ),
    )
    MAX_RETRIES = (
        "E_MAX_RETRIES",
        CodeEntry(
            503,
            retryable=True,
            message="The connection could not be restored",
            user_message="The connection was lost. The job goes on; look again in a moment.",
        ),
    )


def known_codes() -> Iterator[ErrorCode]:
    """Iterate over the whole table: the engine's codes, then those of every plug-in that is loaded."""
    for part in ErrorCode.__subclasses__():
        yield from part


def find_code(text: str) -> ErrorCode:
    """Return the entry of the table with this text.

    Raises:
        ValueError: there is none.
    """
    for code in known_codes():
        if code == text:
            return code
    raise ValueError(f"{text!r} is no known error code. Declare it: a member of a class that inherits ErrorCode")


class ShelfwireError(Exception):
    """An error with a code of the table: raised to refuse a request, fail an item or end a job.

    Args:
        code: the entry of the table, or its text.
        message: what happened and to which item, for a developer; the entry's own when left out.
        user_message: the same for a person, with what to do next; the entry's own when left out.
        details: JSON values that help a program; never a secret.
        affected: names of the items concerned.

    Raises:
        ValueError: the text is no code of the table.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        user_message: str | None = None,
        details: Mapping[str, Any] | None = None,
        affected: Sequence[str] = (),
    ) -> None:
        self.code = code if isinstance(code, ErrorCode) else find_code(code)
        entry = self.code.entry
        self.message = message or entry.message
        self.user_message = user_message or entry.user_message
        self.retryable = entry.retryable
        self.status = entry.status
        self.details = details
        self.affected = tuple(affected)
        super().__init__(f"{code}: {self.message}")

    def to_result(self) -> dict[str, Any]:
        """Return the members by which results describe the error: `code`, `message`, `userMessage`, `retryable`."""
        return {
            "code": self.code,
            "message": self.message,
            "userMessage": self.user_message,
            "retryable": self.retryable,
        }
