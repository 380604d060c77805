"""Text to speech: what an engine implements, and what every engine gets."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from speech.audio import Recording
from speech.errors import BadRequest, ProgramFailed, ProviderError, ProviderUnavailable
from speech.forms import MASTER_RATE_HZ, Form, NotAudio, encode, length_s
from speech.guard import Guard
from speech.metrics import TTS_CACHE, TTS_FAILOVERS
from speech.tts.cache import SpokenCache
from speech.tts.loudness import master_of

log = structlog.get_logger(__name__)

LONGEST_AUDIO_BYTES = 20_000_000
"""Size of the largest file taken from a provider."""
_SHARE_WHERE_OTHERS_FOLLOW = 0.5


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


@dataclass(frozen=True)
class Spoken:
    """A spoken text.

    Attributes:
        audio: the audio, in the form asked for.
        engine: who spoke.
        length_s: length of the audio, seconds.
    """

    audio: bytes
    engine: str
    length_s: float


class TtsEngine(Protocol):
    """Turns text into speech. Implement `speak`; guard, loudness, forms and cache are added."""

    @property
    def name(self) -> str:
        """Name of the engine in answers and metrics."""
        ...

    def identity(self, wording: Wording) -> tuple[str, ...]:
        """Give all that decides how it will sound but language and text: engine, model, voice.

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


class Speaker:
    """One engine behind its guard and the cache.

    What an engine says is kept once at full rate, and again in each form that was asked for: a
    text costs one request, whatever the number of forms.
    """

    def __init__(self, engine: TtsEngine, guard: Guard, cache: SpokenCache) -> None:
        self.engine = engine
        self._guard = guard
        self._cache = cache

    async def speak(self, wording: Wording, form: Form, budget_s: float) -> Spoken:
        """Give the spoken text at the common loudness, within `budget_s` seconds.

        Raises:
            AtCapacity: no place in time.
            BadRequest: the engine has no such voice.
            ProviderError: no answer.
        """
        ends_s = asyncio.get_running_loop().time() + budget_s
        key = self._key(wording, form)
        kept = await self._cache.get(key)
        TTS_CACHE.labels("miss" if kept is None else "hit").inc()
        if kept is None:
            master = await self._master(wording, budget_s)
            kept = await _encoded(master, form, ends_s - asyncio.get_running_loop().time())
            await self._cache.put(key, kept)
        return Spoken(kept, self.engine.name, length_s(kept, form))

    async def _master(self, wording: Wording, budget_s: float) -> Recording:
        key = self._key(wording, Form.SLN16)
        kept = await self._cache.get(key)
        if kept is not None:
            return Recording(kept, MASTER_RATE_HZ, MASTER_RATE_HZ // 2)

        async def request(timeout_s: float) -> Recording:
            return await _mastered(await self.engine.speak(wording, timeout_s), timeout_s)

        master = await self._guard.ask(request, budget_s)
        await self._cache.put(key, master.pcm)
        return master

    def _key(self, wording: Wording, form: Form) -> str:
        identity = self.engine.identity(wording)
        return self._cache.key(identity, wording.language, wording.text, form)


async def _mastered(audio: bytes, timeout_s: float) -> Recording:
    try:
        master = await master_of(audio, timeout_s)
    except (NotAudio, ProgramFailed) as error:
        raise ProviderUnavailable(f"spoken text cannot be read: {error}") from error
    if not any(master.pcm):
        raise ProviderUnavailable("spoken text is silent")
    return master


async def _encoded(master: Recording, form: Form, timeout_s: float) -> bytes:
    try:
        return await encode(master, form, timeout_s)
    except ProgramFailed as error:
        raise ProviderUnavailable(f"spoken text cannot be converted: {error}") from error


class Synthesizer:
    """The speakers of TTS_PROVIDERS, in their order."""

    def __init__(self, speakers: Sequence[Speaker]) -> None:
        """Speak with the first of the speakers that can; there is at least one."""
        self.speakers = tuple(speakers)

    async def synthesize(self, wording: Wording, form: Form, budget_s: float) -> Spoken:
        """Give the spoken text within `budget_s` seconds, by the next speaker where one fails.

        Raises:
            AtCapacity: no place in time.
            BadRequest: the engine has no such voice.
            ProviderError: nobody spoke; why the first of them did not.
        """
        ends_s = asyncio.get_running_loop().time() + budget_s
        first_error: ProviderError | None = None
        for speaker in self.speakers:
            left_s = ends_s - asyncio.get_running_loop().time()
            last = speaker is self.speakers[-1]
            try:
                return await speaker.speak(
                    wording, form, left_s if last else left_s * _SHARE_WHERE_OTHERS_FOLLOW
                )
            except BadRequest as error:
                # A voice of the first engine's need not be one of the next.
                raise first_error or error from error
            except ProviderError as error:
                first_error = first_error or error
                if not last:
                    TTS_FAILOVERS.labels(speaker.engine.name).inc()
                    log.warning(
                        "another engine speaks", failed=speaker.engine.name, reason=str(error)
                    )
        assert first_error is not None  # noqa: S101 - there is a speaker, and each has failed
        raise first_error
