"""How long the engine's prompts are, so that the simulated people know when to speak."""

from __future__ import annotations

import wave
from pathlib import Path

from lab.behaviours import PromptLengths

_BYTES_PER_MS = {".sln16": 32, ".sln": 16, ".alaw": 8, ".ulaw": 8, ".g722": 8}


def length_ms(sound: Path) -> int | None:
    """Give the length of a prompt in any of the formats the engine leaves there; None without.

    `sound` is the path without a suffix.
    """
    for suffix in (".wav", ".wav16"):
        file = Path(f"{sound}{suffix}")
        if file.exists():
            try:
                with wave.open(str(file)) as audio:
                    return int(audio.getnframes() * 1000 / audio.getframerate())
            except (wave.Error, EOFError):
                return None  # half-written, or no WAV at all: the engine's own check names it
    for suffix, bytes_per_ms in _BYTES_PER_MS.items():
        file = Path(f"{sound}{suffix}")
        if file.exists():
            return file.stat().st_size // bytes_per_ms
    return None


def measure(directory: Path, default: PromptLengths) -> PromptLengths:
    """Measure the prompts in `directory`; one that is not there keeps its default."""

    def measured(name: str, otherwise: int) -> int:
        found = length_ms(directory / name)
        return otherwise if found is None else found

    return PromptLengths(
        hello_ms=measured("hello", default.hello_ms),
        number_ms=measured("number", default.number_ms),
        yes_ms=measured("yes", default.yes_ms),
    )
