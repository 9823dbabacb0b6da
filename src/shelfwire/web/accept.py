"""Content negotiation: the media type that a caller prefers (RFC 9110, section 12.5.1)."""

from collections.abc import Sequence

from multipart import parse_options_header


def best_of(accept: str, offered: Sequence[str]) -> str:
    """Return the media type that is preferred among those that are offered; the first where all are alike or refused.

    Args:
        accept: the header `Accept`.
        offered: media types without parameters.
    """
    ranges = [_range(part) for part in accept.split(",") if part.strip()]
    return max(offered, key=lambda kind: _quality(kind, ranges))


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
