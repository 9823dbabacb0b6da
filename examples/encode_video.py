"""Encodes a video with ffmpeg, and reports what part of it is done: python examples/encode_video.py IN OUT."""

import subprocess
import sys
from collections.abc import Iterable, Iterator

from shelfwire import report


def fractions(lines: Iterable[str], duration: float) -> Iterator[float]:
    """Read what `ffmpeg -progress` writes, and give the part of the video that is done each time it says so.

    Args:
        lines: of `key=value`; in `out_time_us` are the microseconds that are encoded, or `N/A` before the first.
        duration: seconds of the whole video.
    """
    for line in lines:
        key, _, value = line.strip().partition("=")
        if key == "out_time_us" and value.lstrip("-").isdecimal():
            yield min(1.0, max(0.0, int(value) / 1_000_000 / duration))


def duration_of(path: str) -> float:
    """Ask ffprobe for the seconds of a video."""
    words = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", path]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def main(source: str, target: str, server: str = "http://127.0.0.1:8787") -> None:
    """Encode a video."""
    words = ["ffmpeg", "-y", "-v", "error", "-i", source, "-progress", "pipe:1", "-nostats", target]
    with (
        report("encode_video", url=server) as job,
        subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as ffmpeg,
    ):
        for fraction in fractions(ffmpeg.stdout or (), duration_of(source)):
            job.progress(fraction, title="Encoding")
        if ffmpeg.wait():
            job.fail_job("E_FFMPEG", "The video could not be encoded. Is it damaged?")


if __name__ == "__main__":
    main(*sys.argv[1:])
