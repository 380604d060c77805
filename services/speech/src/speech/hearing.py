"""One recording's way: checked, listened to for speech, enhanced, transcribed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from opentelemetry import trace

from speech.audio import Recording, read_wav
from speech.capacity import Capacity
from speech.enhance import enhance
from speech.errors import NotConfigured, ProgramFailed
from speech.metrics import ENHANCE_FAILURES, ENHANCE_SECONDS, TRANSCRIPTIONS
from speech.stt.base import Outcome, Transcriber, Transcript
from speech.vad import SpeechDetector

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)

_LONGEST_ENHANCE_S = 5.0


@dataclass(frozen=True)
class Heard:
    """What became of a recording.

    Attributes:
        transcript: what was said.
        engine: who transcribed; empty when none was asked.
        audio_s: length of the audio as received, seconds.
        enhance_s: time spent enhancing, seconds; 0 when skipped.
        stt_s: time spent waiting for the engine, seconds; 0 when none was asked.
    """

    transcript: Transcript
    engine: str
    audio_s: float
    enhance_s: float = 0.0
    stt_s: float = 0.0


class Hearing:
    """The parts a recording passes. `enhancing` holds its places; None switches it off."""

    def __init__(
        self, detector: SpeechDetector, transcriber: Transcriber, enhancing: Capacity | None
    ) -> None:
        self._detector = detector
        self._transcriber = transcriber
        self._enhancing = enhancing

    async def hear(
        self, audio: bytes, language: str, hotwords: Sequence[str], budget_s: float
    ) -> Heard:
        """Transcribe a WAV file within `budget_s` seconds.

        Raises:
            BadRequest: it is not a WAV file as wanted.
            NotConfigured: no engine understands the language.
            AtCapacity: it cannot be served in time.
            ProviderError: the engine did not answer.
        """
        deadline_s = time.monotonic() + budget_s
        recording = read_wav(audio)
        self._check_language(language)
        heard = await self._listen(recording, hotwords, deadline_s)
        TRANSCRIPTIONS.labels(heard.transcript.outcome.value, heard.engine).inc()
        return heard

    def _check_language(self, language: str) -> None:
        engine = self._transcriber.engine
        if language not in engine.languages:
            raise NotConfigured(
                f"no engine transcribes {language}: set VIRA_STT_TOKEN "
                f"({engine.name} understands {', '.join(sorted(engine.languages))} only)"
            )

    async def _listen(
        self, recording: Recording, hotwords: Sequence[str], deadline_s: float
    ) -> Heard:
        if not await self._detector.hears_speech(recording):
            return Heard(Transcript(Outcome.NOTHING_SAID), "", recording.length_s)
        self._transcriber.expect_place(deadline_s - time.monotonic())
        began_s = time.monotonic()
        enhanced = await self._enhance(recording, deadline_s)
        enhanced_s = time.monotonic()
        with tracer.start_as_current_span("stt"):
            transcript = await self._transcriber.transcribe(
                enhanced, hotwords, deadline_s - enhanced_s
            )
        return Heard(
            transcript,
            self._transcriber.engine.name,
            recording.length_s,
            enhanced_s - began_s if enhanced is not recording else 0.0,
            time.monotonic() - enhanced_s,
        )

    async def _enhance(self, recording: Recording, deadline_s: float) -> Recording:
        """Enhance; a recording that ffmpeg fails on goes on as it is, counted and logged."""
        if self._enhancing is None:
            return recording
        async with self._enhancing.place(deadline_s - time.monotonic()):
            limit_s = min(deadline_s - time.monotonic(), _LONGEST_ENHANCE_S)
            try:
                with tracer.start_as_current_span("enhance"), ENHANCE_SECONDS.time():
                    return await enhance(recording, limit_s)
            except ProgramFailed as error:
                ENHANCE_FAILURES.inc()
                log.warning("a recording goes on as it is", reason=str(error))
                return recording
