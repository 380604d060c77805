"""Engines whose answers a test decides."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from servicekit.breaker import Breaker
from servicekit.clock import Clock
from speech.audio import write_wav
from speech.capacity import Capacity
from speech.guard import Guard, Patience
from speech.health import Health
from speech.metrics import STT_SECONDS, TTS_SECONDS
from speech.stt.base import Transcript, Utterance
from speech.stt.transcriber import GuardedStt, Transcriber
from speech.tts.base import Speaker, Synthesizer, TtsEngine, Wording
from speech.tts.cache import SpokenCache
from speech_support.time import LoopClock


@dataclass
class ScriptedStt:
    """Answers with `answer`, or raises what is next in `errors`, after `open` is set."""

    answer: Transcript = field(default_factory=lambda: Transcript.of("yes"))
    errors: list[Exception] = field(default_factory=list)
    languages: frozenset[str] = frozenset({"en"})
    name: str = "scripted"
    paid: bool = True
    heard: list[Utterance] = field(default_factory=list)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def recognise(self, utterance: Utterance) -> Transcript:
        """Answer as scripted."""
        self.heard.append(utterance)
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
    length_s: float = 0.5
    spoken: list[Wording] = field(default_factory=list)

    def identity(self, wording: Wording) -> tuple[str, ...]:
        """Give engine and voice."""
        return (self.name, wording.voice or self.voice)

    async def speak(self, wording: Wording, timeout_s: float) -> bytes:
        """Hum for as long as its hums are, as loud as prompts are: that saves making it so."""
        assert timeout_s > 0
        self.spoken.append(wording)
        if self.errors:
            raise self.errors.pop(0)
        hum = b"".join(
            int(6900 * (step % 40 - 20) / 20).to_bytes(2, "little", signed=True)
            for step in range(int(16000 * self.length_s))
        )
        return write_wav(hum, 16000)


def transcriber_of(
    *engines: ScriptedStt,
    places: int = 2,
    patience: Patience | None = None,
    clock: Clock | None = None,
    hotwords: tuple[str, ...] = (),
    assumed_s: float = 1.0,
) -> Transcriber:
    """Put engines behind guards that repeat without a pause; each has places of its own.

    Breakers open after two failures and stay open for 15 s.
    """
    patience = patience or Patience(timeout_s=5.0, pause_s=0.0)
    guarded = []
    for engine in engines:
        capacity = Capacity(f"stt {engine.name}", places, clock, assumed_s=assumed_s)
        health = Health(engine.name, Breaker(threshold=2, open_s=15.0, clock=clock))
        guard = Guard(engine.name, capacity, patience, STT_SECONDS, clock, health=health)
        guarded.append(GuardedStt(engine, guard))
    return Transcriber(guarded, hotwords, clock)


def engine_of(name: str, *errors: Exception, paid: bool = True) -> ScriptedStt:
    """Make an engine that answers with its name, after these errors."""
    return ScriptedStt(answer=Transcript.of(name), errors=list(errors), name=name, paid=paid)


def chain_of(*engines: ScriptedStt, places: int = 2) -> Transcriber:
    """Put engines behind guards as patient as the service's, on the running loop's time."""
    patience = Patience(timeout_s=30.0, pause_s=0.2)
    return transcriber_of(*engines, places=places, patience=patience, clock=LoopClock())


def asked_of(*engines: ScriptedStt) -> list[int]:
    """Give how often each engine was asked."""
    return [len(engine.heard) for engine in engines]


def synthesizer_of(cache: SpokenCache, *engines: TtsEngine) -> Synthesizer:
    """Put engines behind guards and a cache."""
    patience = Patience(timeout_s=5.0, pause_s=0.0)
    places = Capacity("tts", 2)
    return Synthesizer(
        [
            Speaker(engine, Guard(engine.name, places, patience, TTS_SECONDS), cache)
            for engine in engines
        ]
    )
