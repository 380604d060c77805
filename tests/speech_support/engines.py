"""Engines whose answers a test decides."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from speech.audio import Recording, write_wav
from speech.capacity import Capacity
from speech.guard import Guard, Patience
from speech.metrics import STT_SECONDS, TTS_SECONDS
from speech.stt.base import Transcriber, Transcript
from speech.tts.base import Synthesizer, Wording
from speech.tts.cache import SpokenCache


@dataclass
class ScriptedStt:
    """Answers with `answer`, or raises what is next in `errors`, after `open` is set."""

    answer: Transcript = field(default_factory=lambda: Transcript.of("yes"))
    errors: list[Exception] = field(default_factory=list)
    languages: frozenset[str] = frozenset({"en"})
    name: str = "scripted"
    heard: list[Recording] = field(default_factory=list)
    hotwords: list[str] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def recognise(
        self, recording: Recording, hotwords: Sequence[str], timeout_s: float
    ) -> Transcript:
        """Answer as scripted."""
        assert timeout_s > 0
        self.heard.append(recording)
        self.hotwords = list(hotwords)
        await self.open.wait()
        if self.errors:
            raise self.errors.pop(0)
        return self.answer


@dataclass
class ScriptedTts:
    """Speaks a hum; counts how often."""

    errors: list[Exception] = field(default_factory=list)
    voice: str = "hum"
    name: str = "scripted"
    spoken: list[Wording] = field(default_factory=list)

    def voice_of(self, wording: Wording) -> str:
        """Give the voice."""
        return wording.voice or self.voice

    async def speak(self, wording: Wording, timeout_s: float) -> bytes:
        """Hum for half a second."""
        assert timeout_s > 0
        self.spoken.append(wording)
        if self.errors:
            raise self.errors.pop(0)
        hum = b"".join(
            int(8000 * (step % 40 - 20) / 20).to_bytes(2, "little", signed=True)
            for step in range(8000)
        )
        return write_wav(hum, 16000)


def transcriber_of(
    engine: ScriptedStt, *, places: int = 2, patience: Patience | None = None
) -> Transcriber:
    """Put an engine behind a guard that repeats without a pause."""
    patience = patience or Patience(timeout_s=5.0, pause_s=0.0)
    return Transcriber(engine, Guard(engine.name, Capacity("stt", places), patience, STT_SECONDS))


def synthesizer_of(engine: ScriptedTts, cache: SpokenCache) -> Synthesizer:
    """Put an engine behind a guard and a cache."""
    patience = Patience(timeout_s=5.0, pause_s=0.0)
    guard = Guard(engine.name, Capacity("tts", 2), patience, TTS_SECONDS)
    return Synthesizer(engine, guard, cache)
