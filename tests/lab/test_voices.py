"""Composing what a person sends during a call."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from lab import voices

TALK_THRESHOLD = 256
"""What Asterisk's talk detection takes for speech by default."""


@given(st.integers(0, 3000), st.integers(3500, 5000))
def test_words_stand_where_they_belong(start_ms: int, length_ms: int) -> None:
    """A track has the asked length, the words at their time, and is below talk elsewhere."""
    words = array("h", [9000] * 80)
    track = voices.compose([(start_ms, words)], length_ms)
    first = start_ms * voices.SAMPLES_PER_MS
    assert len(track) == length_ms * voices.SAMPLES_PER_MS
    assert track[first : first + 80] == words
    rest = track[:first] + track[first + 80 :]
    assert max(abs(sample) for sample in rest) < TALK_THRESHOLD


def test_line_noise_is_never_digital_silence() -> None:
    """Every quarter second of a silent person's track carries some noise, as a phone line does."""
    track = voices.compose([], 2000)
    assert all(any(track[at : at + 2000]) for at in range(0, len(track), 2000))


def test_phrases_are_cut_and_levelled() -> None:
    """Silence around the words is gone, so their times are real; every voice is equally loud."""
    quiet = array("h", [0] * 500 + [100, -2000, 1000] + [3] * 500)
    loud = array("h", [1500, -30000, 15000])
    assert voices.normalised(quiet) == voices.normalised(loud)
    assert len(voices.normalised(quiet)) == 3


def test_silence_stays_silence() -> None:
    """An empty rendering does not divide by zero."""
    assert voices.normalised(array("h", [0] * 100)) == array("h")
