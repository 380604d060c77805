"""Text to speech: what an engine implements, and what every engine gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from speech.audio import Recording
from speech.enhance import level
from speech.errors import ProgramFailed, ProviderUnavailable
from speech.guard import Guard
from speech.metrics import TTS_CACHE
from speech.tts.cache import SpokenCache


@dataclass(frozen=True)
class Wording:
    """What is to be spoken.

    Attributes:
        text: the text.
        language: `fa` or `en`.
        voice: voice in the engine's own naming; empty: the engine's default.
    """

    text: str
    language: str
    voice: str = ""


class TtsEngine(Protocol):
    """Turns text into speech. Implement `speak`; guard, loudness and cache are added."""

    @property
    def name(self) -> str:
        """Name of the engine in answers and metrics."""
        ...

    def voice_of(self, wording: Wording) -> str:
        """Give the voice that will speak.

        Raises:
            BadRequest: the engine has no such voice.
        """
        ...

    async def speak(self, wording: Wording, timeout_s: float) -> bytes:
        """Give the spoken text as a WAV or MP3 file.

        Raises:
            BadRequest: the engine has no such voice.
            ProviderError: no answer.
        """
        ...


class Synthesizer:
    """An engine behind its guard and its cache."""

    def __init__(self, engine: TtsEngine, guard: Guard, cache: SpokenCache) -> None:
        self.engine = engine
        self._guard = guard
        self._cache = cache

    async def synthesize(self, wording: Wording, rate_hz: int, budget_s: float) -> Recording:
        """Give the spoken text at a common loudness, within `budget_s` seconds.

        Raises:
            AtCapacity: no place in time.
            BadRequest: the engine has no such voice.
            ProviderError: no answer.
        """
        voice = self.engine.voice_of(wording)
        key = self._cache.key(self.engine.name, voice, wording.language, wording.text, rate_hz)
        kept = await self._cache.get(key)
        TTS_CACHE.labels("miss" if kept is None else "hit").inc()
        if kept is not None:
            return kept

        async def request(timeout_s: float) -> Recording:
            audio = await self.engine.speak(wording, timeout_s)
            try:
                return await level(audio, rate_hz, timeout_s)
            except ProgramFailed as error:
                raise ProviderUnavailable(f"spoken text cannot be read: {error}") from error

        spoken = await self._guard.ask(request, budget_s)
        await self._cache.put(key, spoken)
        return spoken
