"""The error codes of the books. Source: section 5 of the wire contract (`docs/protocol.md`)."""

from shelfwire.errors import CodeEntry, ErrorCode


class BookCode(ErrorCode):
    """What can go wrong with lists, photos, Gemini and the providers of book data."""

    CSV_UNREADABLE = (
        "E_CSV_UNREADABLE",
        CodeEntry(
            422,
            retryable=False,
            message="The file could not be read as CSV",
            user_message="This file could not be read as a list of books. Export it as CSV and try again.",
        ),
    )
    CSV_NO_BOOKS = (
        "E_CSV_NO_BOOKS",
        CodeEntry(
            422,
            retryable=False,
            message="The file holds no rows with books",
            user_message="There are no books in this file. Check that it is the right one.",
        ),
    )
    ROW_INVALID = (
        "E_ROW_INVALID",
        CodeEntry(
            422,
            retryable=False,
            message="The row cannot be read as a book",
            user_message="This row could not be read as a book.",
        ),
    )
    DUPLICATE = (
        "E_DUPLICATE",
        CodeEntry(
            409,
            retryable=False,
            message="The same book stands earlier in the file",
            user_message="This book is in the file more than once. It was imported once.",
        ),
    )
    IMAGE_UNREADABLE = (
        "E_IMAGE_UNREADABLE",
        CodeEntry(
            422,
            retryable=False,
            message="The photo could not be read as an image",
            user_message="This photo could not be opened. Take it again, or send it as JPEG, PNG, WebP or HEIC.",
        ),
    )
    NO_BOOKS_FOUND = (
        "E_NO_BOOKS_FOUND",
        CodeEntry(
            422,
            retryable=True,
            message="No books were found in the photo",
            user_message="No books could be read in this photo. Go closer, and hold the camera still and level.",
        ),
    )
    SCAN_UNAVAILABLE = (
        "E_SCAN_UNAVAILABLE",
        CodeEntry(
            501,
            retryable=False,
            message="Nothing can read photos yet: pip install 'shelfwire[scan]', or set gemini_api_key",
            user_message="This service cannot read photos yet. Its operator has to set that up first.",
        ),
    )
    GEMINI_TIMEOUT = (
        "E_GEMINI_TIMEOUT",
        CodeEntry(
            504,
            retryable=True,
            message="Gemini did not answer in time",
            user_message="The book recognition took too long to answer. Please try again in a moment.",
        ),
    )
    GEMINI_RATE_LIMITED = (
        "E_GEMINI_RATE_LIMITED",
        CodeEntry(
            429,
            retryable=True,
            message="Gemini takes no more requests for now",
            user_message="The book recognition is very busy. Please try again in a few minutes.",
        ),
    )
    GEMINI_QUOTA_SPENT = (
        "E_GEMINI_QUOTA_SPENT",
        CodeEntry(
            429,
            retryable=True,
            message="The quota for Gemini is used up for today",
            user_message="The book recognition has done all it may for today. Please try again tomorrow.",
        ),
    )
    GEMINI_UNAVAILABLE = (
        "E_GEMINI_UNAVAILABLE",
        CodeEntry(
            503,
            retryable=True,
            message="Gemini cannot be reached, or answers with an error of its own",
            user_message="The book recognition cannot be reached. Please try again in a moment.",
        ),
    )
    GEMINI_BAD_OUTPUT = (
        "E_GEMINI_BAD_OUTPUT",
        CodeEntry(
            502,
            retryable=True,
            message="Gemini's answer is cut off, or not of the form asked for",
            user_message="The book recognition gave an answer that makes no sense. Please try again.",
        ),
    )
    GEMINI_REJECTED = (
        "E_GEMINI_REJECTED",
        CodeEntry(
            502,
            retryable=False,
            message="Gemini refused the request: its key, its form or its content",
            user_message="The book recognition refused this. Try another photo or file, or tell the operator.",
        ),
    )
    ENRICHMENT_FAILED = (
        "E_ENRICHMENT_FAILED",
        CodeEntry(
            422,
            retryable=True,
            message="No provider knows the book",
            user_message="Nothing was found for this book. Check its title, author and ISBN, or try again later.",
        ),
    )
    PROVIDER_UNAVAILABLE = (
        "E_PROVIDER_UNAVAILABLE",
        CodeEntry(
            503,
            retryable=True,
            message="No provider of book data answered",
            user_message="The book catalogues cannot be reached at the moment. Please try again later.",
        ),
    )
