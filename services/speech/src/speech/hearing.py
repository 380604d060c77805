"""One recording's way: checked, listened to for speech, enhanced, transcribed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog
from opentelemetry import trace

from speech.audio import Recording, read_wav
from speech.capacity import Capacity
from speech.enhance import enhance
from speech.errors import AtCapacity, ProgramFailed
from speech.metrics import ENHANCE_FAILURES, ENHANCE_SECONDS, ENHANCE_SKIPPED, TRANSCRIPTIONS
from speech.review import ReviewCopies
from speech.stt.base import Outcome, Transcript, Utterance
from speech.stt.transcriber import Transcriber
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
        stt_s: time spent waiting for engines, those that failed included, seconds; 0 when none
            was asked.
        out_of_credit: whether an engine before that one refuses for lack of credit.
    """

    transcript: Transcript
    engine: str
    audio_s: float
    enhance_s: float = 0.0
    stt_s: float = 0.0
    out_of_credit: bool = False


class Hearing:
    """The parts a recording passes.

    `enhancing` holds the places for enhancement and `reviews` keeps copies; None switches it off.
    `denoises`: enhancement takes noise out as well.
    """

    def __init__(
        self,
        detector: SpeechDetector,
        transcriber: Transcriber,
        enhancing: Capacity | None,
        reviews: ReviewCopies | None = None,
        *,
        denoises: bool = False,
    ) -> None:
        self._detector = detector
        self._detecting = Capacity("vad", 1, assumed_s=0.02)
        self._transcriber = transcriber
        self._enhancing = enhancing
        self._denoises = denoises
        self._reviews = reviews

    async def hear(
        self,
        audio: bytes,
        language: str,
        hotwords: Sequence[str],
        budget_s: float,
        attempt_id: str = "",
    ) -> Heard:
        """Transcribe a WAV file within `budget_s` seconds.

        Raises:
            BadRequest: it is not a WAV file as wanted.
            NotConfigured: no engine understands the language.
            AtCapacity: it cannot be served in time.
            ProviderError: no engine answered.
        """
        deadline_s = time.monotonic() + budget_s
        utterance = Utterance(read_wav(audio), language, tuple(hotwords))
        self._transcriber.check_language(language)
        heard = await self._listen(utterance, deadline_s, attempt_id)
        TRANSCRIPTIONS.labels(heard.transcript.outcome.value, heard.engine).inc()
        return heard

    async def _listen(self, utterance: Utterance, deadline_s: float, attempt_id: str) -> Heard:
        recording = utterance.recording
        async with self._detecting.place(deadline_s - time.monotonic()):
            speech = await self._detector.hears_speech(recording)
        if not speech:
            return Heard(Transcript(Outcome.NOTHING_SAID), "", recording.length_s)
        began_s = time.monotonic()
        stt_s = self._transcriber.expect_answer(utterance.language, deadline_s - began_s)
        enhanced = await self._enhance(recording, deadline_s - stt_s)
        if self._reviews is not None:
            self._reviews.keep(attempt_id, enhanced)
        enhanced_s = time.monotonic()
        with tracer.start_as_current_span("stt"):
            transcribed = await self._transcriber.transcribe(
                replace(utterance, recording=enhanced), deadline_s - enhanced_s
            )
        return Heard(
            transcribed.transcript,
            transcribed.engine,
            recording.length_s,
            enhanced_s - began_s if enhanced is not recording else 0.0,
            time.monotonic() - enhanced_s,
            transcribed.out_of_credit,
        )

    async def _enhance(self, recording: Recording, deadline_s: float) -> Recording:
        """Enhance by a deadline that leaves time for an engine.

        A recording for which there is no time, or that ffmpeg fails on, goes on as it is: a reply
        that is a little harder to understand is worth more than none.
        """
        if self._enhancing is None:
            return recording
        limit_s = min(deadline_s - time.monotonic(), _LONGEST_ENHANCE_S)
        if limit_s <= self._enhancing.typical_s:
            ENHANCE_SKIPPED.inc()
            return recording
        try:
            async with self._enhancing.place(limit_s):
                limit_s = min(deadline_s - time.monotonic(), _LONGEST_ENHANCE_S)
                with tracer.start_as_current_span("enhance"), ENHANCE_SECONDS.time():
                    return await enhance(recording, limit_s, denoises=self._denoises)
        except AtCapacity:
            ENHANCE_SKIPPED.inc()
        except ProgramFailed as error:
            ENHANCE_FAILURES.inc()
            log.warning("a recording goes on as it is", reason=str(error))
        return recording
