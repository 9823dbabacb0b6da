"""Content negotiation: the media type that a caller prefers, and whether it takes gzip (RFC 9110, section 12.5)."""

from collections.abc import Sequence
from typing import Final

from multipart import parse_options_header

MAX_PARTS: Final = 50
"""The parts of a header that are read; nobody has more preferences, and each takes some microseconds."""


def best_of(accept: str, offered: Sequence[str]) -> str:
    """Return the media type that is preferred among those that are offered; the first where all are alike or refused.

    Args:
        accept: the header `Accept`.
        offered: media types without parameters.
    """
    ranges = _ranges(accept)
    return max(offered, key=lambda kind: _quality(kind, ranges))


def takes_gzip(accept_encoding: str) -> bool:
    """Whether gzip is acceptable and not worse than no compression, by the header `Accept-Encoding`."""
    qualities = dict(reversed(_ranges(accept_encoding)))
    quality = qualities.get("gzip", qualities.get("x-gzip", qualities.get("*", 0.0)))
    return quality > 0 and quality >= qualities.get("identity", 0.0)


def _ranges(header: str) -> list[tuple[str, float]]:
    """Return the parts of a header, each with its quality."""
    return [_range(part) for part in header.split(",", MAX_PARTS)[:MAX_PARTS] if part.strip()]


def _range(part: str) -> tuple[str, float]:
    kind, parameters = parse_options_header(part.strip())
    try:
        return kind, float(parameters.get("q", "1"))
    except ValueError:
        return kind, 0.0


def _quality(kind: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Return the quality of a media type: that of the most specific range it is in; 0 if it is in none."""
    for wider in (kind, f"{kind.partition('/')[0]}/*", "*/*"):
        qualities = [quality for name, quality in ranges if name == wider]
        if qualities:
            return max(qualities)
    return 0.0
