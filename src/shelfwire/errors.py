"""The one table of error codes, and the exception that carries an entry of it.

Source of the codes: section 5 of the wire contract (`docs/protocol.md`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """Every error code there is."""

    UNAUTHORIZED = "E_UNAUTHORIZED"
    TOKEN_EXPIRED = "E_TOKEN_EXPIRED"  # noqa: S105 - a code, not a secret
    FORBIDDEN = "E_FORBIDDEN"
    NOT_FOUND = "E_NOT_FOUND"
    METHOD_NOT_ALLOWED = "E_METHOD_NOT_ALLOWED"
    JOB_EXISTS = "E_JOB_EXISTS"
    JOB_STATE = "E_JOB_STATE"
    JOB_CANCELED = "E_JOB_CANCELED"
    INVALID_REQUEST = "E_INVALID_REQUEST"
    FILE_TOO_LARGE = "E_FILE_TOO_LARGE"
    UNSUPPORTED_MEDIA = "E_UNSUPPORTED_MEDIA"
    IDEMPOTENCY_MISMATCH = "E_IDEMPOTENCY_MISMATCH"
    CSV_UNREADABLE = "E_CSV_UNREADABLE"
    CSV_NO_BOOKS = "E_CSV_NO_BOOKS"
    ROW_INVALID = "E_ROW_INVALID"
    DUPLICATE = "E_DUPLICATE"
    IMAGE_UNREADABLE = "E_IMAGE_UNREADABLE"
    NO_BOOKS_FOUND = "E_NO_BOOKS_FOUND"
    SCAN_UNAVAILABLE = "E_SCAN_UNAVAILABLE"
    GEMINI_TIMEOUT = "E_GEMINI_TIMEOUT"
    GEMINI_RATE_LIMITED = "E_GEMINI_RATE_LIMITED"
    GEMINI_UNAVAILABLE = "E_GEMINI_UNAVAILABLE"
    GEMINI_BAD_OUTPUT = "E_GEMINI_BAD_OUTPUT"
    GEMINI_REJECTED = "E_GEMINI_REJECTED"
    ENRICHMENT_FAILED = "E_ENRICHMENT_FAILED"
    PROVIDER_UNAVAILABLE = "E_PROVIDER_UNAVAILABLE"
    RATE_LIMITED = "E_RATE_LIMITED"
    OVERLOADED = "E_OVERLOADED"
    STORAGE_UNAVAILABLE = "E_STORAGE_UNAVAILABLE"
    ATTEMPTS_EXHAUSTED = "E_ATTEMPTS_EXHAUSTED"
    INTERNAL = "E_INTERNAL"
    MAX_RETRIES = "E_MAX_RETRIES"


@dataclass(frozen=True, slots=True)
class CodeEntry:
    """What the table knows of one code.

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


CODES: Mapping[Code, CodeEntry] = {
    Code.UNAUTHORIZED: CodeEntry(
        401,
        retryable=False,
        message="The token is missing or not valid for this job",
        user_message="You are not signed in to this job. Start it again, or use the link it came with.",
    ),
    Code.TOKEN_EXPIRED: CodeEntry(
        401,
        retryable=False,
        message="Token expired",
        user_message="Your access to this job has run out. Start the job again to get new access.",
    ),
    Code.FORBIDDEN: CodeEntry(
        403,
        retryable=False,
        message="The token lacks the scope that this needs",
        user_message="You may look at this job but not do this.",
    ),
    Code.NOT_FOUND: CodeEntry(
        404,
        retryable=False,
        message="No such route",
        user_message="There is nothing at this address. Check it for a typing error.",
    ),
    Code.METHOD_NOT_ALLOWED: CodeEntry(
        405,
        retryable=False,
        message="The route exists, but not for this method",
        user_message="This address does not take this kind of request.",
    ),
    Code.JOB_EXISTS: CodeEntry(
        409,
        retryable=False,
        message="A job with this id exists",
        user_message="This job has been started already.",
    ),
    Code.JOB_STATE: CodeEntry(
        409,
        retryable=False,
        message="The job's state does not allow this",
        user_message="This is not possible in the job's present state.",
    ),
    Code.JOB_CANCELED: CodeEntry(
        409,
        retryable=True,
        message="The job was canceled on request",
        user_message="You canceled this job. What it had done until then is kept.",
    ),
    Code.INVALID_REQUEST: CodeEntry(
        400,
        retryable=False,
        message="The request is not valid",
        user_message="Something is missing from the request, or not in the expected form.",
    ),
    Code.FILE_TOO_LARGE: CodeEntry(
        413,
        retryable=False,
        message="The upload is larger than allowed",
        user_message="This file is too large. Split it into smaller files and send them one by one.",
    ),
    Code.UNSUPPORTED_MEDIA: CodeEntry(
        415,
        retryable=False,
        message="The request's content type is not supported",
        user_message="This kind of upload is not supported. Send the file as a form upload.",
    ),
    Code.IDEMPOTENCY_MISMATCH: CodeEntry(
        422,
        retryable=False,
        message="The Idempotency-Key was used before, with other input",
        user_message="This was sent before with other content. Start it again from the beginning.",
    ),
    Code.CSV_UNREADABLE: CodeEntry(
        422,
        retryable=False,
        message="The file could not be read as CSV",
        user_message="This file could not be read as a list of books. Export it as CSV and try again.",
    ),
    Code.CSV_NO_BOOKS: CodeEntry(
        422,
        retryable=False,
        message="The file holds no rows with books",
        user_message="There are no books in this file. Check that it is the right one.",
    ),
    Code.ROW_INVALID: CodeEntry(
        422,
        retryable=False,
        message="The row cannot be read as a book",
        user_message="This row could not be read as a book.",
    ),
    Code.DUPLICATE: CodeEntry(
        409,
        retryable=False,
        message="The same book stands earlier in the file",
        user_message="This book is in the file more than once. It was imported once.",
    ),
    Code.IMAGE_UNREADABLE: CodeEntry(
        422,
        retryable=False,
        message="The photo could not be read as an image",
        user_message="This photo could not be opened. Take it again, or send it as JPEG, PNG, WebP or HEIC.",
    ),
    Code.NO_BOOKS_FOUND: CodeEntry(
        422,
        retryable=True,
        message="No books were found in the photo",
        user_message="No books could be read in this photo. Go closer, and hold the camera still and level.",
    ),
    Code.SCAN_UNAVAILABLE: CodeEntry(
        501,
        retryable=False,
        message="The server has nothing to read photos with: install shelfwire[scan], or set gemini_api_key",
        user_message="This service cannot read photos yet. Its operator has to set that up first.",
    ),
    Code.GEMINI_TIMEOUT: CodeEntry(
        504,
        retryable=True,
        message="Gemini did not answer in time",
        user_message="The book recognition took too long to answer. Please try again in a moment.",
    ),
    Code.GEMINI_RATE_LIMITED: CodeEntry(
        429,
        retryable=True,
        message="Gemini takes no more requests for now",
        user_message="The book recognition is very busy. Please try again in a few minutes.",
    ),
    Code.GEMINI_UNAVAILABLE: CodeEntry(
        503,
        retryable=True,
        message="Gemini cannot be reached, or answers with an error of its own",
        user_message="The book recognition cannot be reached. Please try again in a moment.",
    ),
    Code.GEMINI_BAD_OUTPUT: CodeEntry(
        502,
        retryable=True,
        message="Gemini's answer is cut off, or not of the form asked for",
        user_message="The book recognition gave an answer that makes no sense. Please try again.",
    ),
    Code.GEMINI_REJECTED: CodeEntry(
        502,
        retryable=False,
        message="Gemini refused the request: its key, its quota or its content",
        user_message="The book recognition refused this. Try another photo or file, or tell the operator.",
    ),
    Code.ENRICHMENT_FAILED: CodeEntry(
        422,
        retryable=True,
        message="No provider knows the book",
        user_message="Nothing was found for this book. Check its title, author and ISBN, or try again later.",
    ),
    Code.PROVIDER_UNAVAILABLE: CodeEntry(
        503,
        retryable=True,
        message="No provider of book data answered",
        user_message="The book catalogues cannot be reached at the moment. Please try again later.",
    ),
    Code.RATE_LIMITED: CodeEntry(
        429,
        retryable=True,
        message="The caller has created as many jobs as it may for now",
        user_message="That was a lot at once. Please wait a minute and try again.",
    ),
    Code.OVERLOADED: CodeEntry(
        503,
        retryable=True,
        message="The server has reached its limit of connections",
        user_message="The service is very busy. Please try again in a moment.",
    ),
    Code.STORAGE_UNAVAILABLE: CodeEntry(
        503,
        retryable=True,
        message="The store cannot be written or read",
        user_message="The service cannot save your data right now. Please try again in a moment.",
    ),
    Code.ATTEMPTS_EXHAUSTED: CodeEntry(
        500,
        retryable=True,
        message="The job kept failing and was given up",
        user_message="This job failed several times and was stopped. What it had done until then is kept.",
    ),
    Code.INTERNAL: CodeEntry(
        500,
        retryable=True,
        message="An error of the server's own",
        user_message="Something went wrong on our side. Please try again.",
    ),
    Code.MAX_RETRIES: CodeEntry(
        503,
        retryable=True,
        message="The connection could not be restored",
        user_message="The connection was lost. The job goes on; look again in a moment.",
    ),
}


class ShelfwireError(Exception):
    """An error with a code of the table: raised to refuse a request, fail an item or end a job.

    Args:
        code: which entry of the table this is.
        message: what happened and to which item, for a developer; the entry's own when left out.
        user_message: the same for a person, with what to do next; the entry's own when left out.
        details: JSON values that help a program; never a secret.
        affected: names of the items concerned.
    """

    def __init__(
        self,
        code: Code,
        message: str | None = None,
        *,
        user_message: str | None = None,
        details: Mapping[str, Any] | None = None,
        affected: Sequence[str] = (),
    ) -> None:
        entry = CODES[code]
        self.code = code
        self.message = message or entry.message
        self.user_message = user_message or entry.user_message
        self.retryable = entry.retryable
        self.status = entry.status
        self.details = details
        self.affected = tuple(affected)
        super().__init__(f"{code}: {self.message}")

    def told(self) -> dict[str, Any]:
        """What results say of it: `code`, `message`, `userMessage` and `retryable`."""
        return {
            "code": self.code,
            "message": self.message,
            "userMessage": self.user_message,
            "retryable": self.retryable,
        }
