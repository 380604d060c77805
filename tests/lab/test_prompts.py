"""Measuring the engine's prompts."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest

from lab import prompts
from lab.behaviours import PromptLengths


def write_wav(path: Path, rate_hz: int, seconds: float) -> None:
    """Write a silent mono file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(bytes(int(rate_hz * seconds) * 2))


@pytest.mark.parametrize(("suffix", "rate_hz"), [(".wav", 8000), (".wav16", 16000)])
def test_wav_is_measured_at_its_own_rate(tmp_path: Path, suffix: str, rate_hz: int) -> None:
    """3.25 s are 3250 ms in both rates Asterisk plays."""
    write_wav(tmp_path / f"hello{suffix}", rate_hz, 3.25)
    assert prompts.length_ms(tmp_path / "hello") == 3250


@pytest.mark.parametrize(
    ("suffix", "size"), [(".sln", 32_000), (".sln16", 64_000), (".alaw", 16_000), (".ulaw", 16_000)]
)
def test_raw_formats_are_measured_by_size(tmp_path: Path, suffix: str, size: int) -> None:
    """Two seconds are two seconds in every headerless format."""
    (tmp_path / f"hello{suffix}").write_bytes(bytes(size))
    assert prompts.length_ms(tmp_path / "hello") == 2000


def test_a_broken_prompt_has_no_length(tmp_path: Path) -> None:
    """A half-written file does not stop the lab: the default length is used."""
    (tmp_path / "hello.wav").write_bytes(b"RIFF")
    write_wav(tmp_path / "yes.wav", 8000, 1.5)
    default = PromptLengths(hello_ms=1, number_ms=2, yes_ms=3)
    measured = prompts.measure(tmp_path, default)
    assert measured == PromptLengths(hello_ms=1, number_ms=2, yes_ms=1500)
