"""How ffmpeg is called: audio of a known form on stdin, what is asked for on stdout."""

from __future__ import annotations

from collections.abc import Sequence

LONGEST_S = 180
"""Seconds of audio that are read at most; no text of 1,000 characters takes longer to say."""
_QUIET = ("ffmpeg", "-hide_banner", "-nostdin", "-loglevel", "quiet", "-threads", "1")
_ONLY_PIPES = ("-protocol_whitelist", "pipe")


def conversion(form: Sequence[str], filters: str, target: Sequence[str]) -> list[str]:
    """Build the command; `form` is ffmpeg's name of the input's form with the options it needs.

    `-nostdin` keeps ffmpeg from reading keys where the audio comes; the forced form keeps a crafted
    file from choosing another decoder, and pipes are all it can open.
    """
    source = (*_ONLY_PIPES, "-f", *form, "-t", str(LONGEST_S), "-i", "pipe:0", "-map", "0:a:0")
    return [*_QUIET, *source, "-af", filters, *target, "pipe:1"]


def to_samples(form: Sequence[str], filters: str, rate_hz: int) -> list[str]:
    """Build the command that gives samples: s16, mono, `rate_hz` a second."""
    return conversion(form, filters, ("-ar", str(rate_hz), "-ac", "1", "-f", "s16le"))
