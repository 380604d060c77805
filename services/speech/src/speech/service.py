"""The gRPC face of the speech service: checks requests, names errors, leaves work to the parts."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import structlog
from grpc import aio
from opentelemetry import trace

from salehi.speech.v1 import speech_pb2, speech_pb2_grpc
from speech import errors
from speech.audio import write_wav
from speech.hearing import Hearing
from speech.stt.base import Outcome
from speech.tts.base import Synthesizer, Wording

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)

SERVICE = "salehi.speech.v1.SpeechService"
LANGUAGES = ("fa", "en")
_LONGEST_TEXT = 1000
_ANSWER_MARGIN_S = 0.1  # so that our own status arrives before the caller stops waiting
_RATES_HZ = {
    speech_pb2.AUDIO_FORMAT_UNSPECIFIED: 8000,
    speech_pb2.AUDIO_FORMAT_WAV_8K: 8000,
    speech_pb2.AUDIO_FORMAT_WAV_16K: 16000,
}
_OUTCOMES = {
    Outcome.RECOGNISED: speech_pb2.TRANSCRIBE_OUTCOME_RECOGNISED,
    Outcome.NOTHING_SAID: speech_pb2.TRANSCRIBE_OUTCOME_NOTHING_SAID,
    Outcome.NOT_UNDERSTOOD: speech_pb2.TRANSCRIBE_OUTCOME_NOT_UNDERSTOOD,
}
_STATUS: list[tuple[type[errors.SpeechError], grpc.StatusCode]] = [
    (errors.BadRequest, grpc.StatusCode.INVALID_ARGUMENT),
    (errors.AtCapacity, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (errors.NotConfigured, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.ProviderRefused, grpc.StatusCode.FAILED_PRECONDITION),
    (errors.ProviderTooSlow, grpc.StatusCode.DEADLINE_EXCEEDED),
    (errors.SpeechError, grpc.StatusCode.UNAVAILABLE),
]

Context = aio.ServicerContext[object, object]


class SpeechServicer(speech_pb2_grpc.SpeechServiceServicer):
    """Serves `salehi.speech.v1.SpeechService`."""

    def __init__(
        self, hearing: Hearing, synthesizer: Synthesizer, language: str, longest_s: float
    ) -> None:
        """Serve; `language` stands in where a request names none, `longest_s` for no deadline."""
        self._hearing = hearing
        self._synthesizer = synthesizer
        self._language = language
        self._longest_s = longest_s

    async def Transcribe(  # noqa: N802 - the contract's name
        self, request: speech_pb2.TranscribeRequest, context: Context
    ) -> speech_pb2.TranscribeResponse:
        """Transcribe one recording."""
        began_s = time.perf_counter()
        async with _named_errors(context):
            language = _language(request.language, self._language)
            heard = await self._hearing.hear(
                request.audio, language, list(request.hotwords), self._budget_s(context)
            )
        log.info(
            "transcribed",
            attempt_id=request.attempt_id,
            outcome=heard.transcript.outcome.value,
            engine=heard.engine,
            text_pii=heard.transcript.text,
            took_s=round(time.perf_counter() - began_s, 3),
        )
        return speech_pb2.TranscribeResponse(
            text=heard.transcript.text,
            outcome=_OUTCOMES[heard.transcript.outcome],
            engine=heard.engine,
            audio_s=heard.audio_s,
            enhance_s=heard.enhance_s,
            stt_s=heard.stt_s,
        )

    async def Synthesize(  # noqa: N802 - the contract's name
        self, request: speech_pb2.SynthesizeRequest, context: Context
    ) -> speech_pb2.SynthesizeResponse:
        """Speak one text."""
        async with _named_errors(context):
            wording = Wording(
                _text(request.text), _language(request.language, self._language), request.voice
            )
            with tracer.start_as_current_span("tts"):
                spoken = await self._synthesizer.synthesize(
                    wording, _rate_hz(request.format), self._budget_s(context)
                )
        return speech_pb2.SynthesizeResponse(
            audio=write_wav(spoken.pcm, spoken.rate_hz),
            engine=self._synthesizer.engine.name,
            audio_s=spoken.length_s,
        )

    def _budget_s(self, context: Context) -> float:
        return min(context.time_remaining() - _ANSWER_MARGIN_S, self._longest_s)


@asynccontextmanager
async def _named_errors(context: Context) -> AsyncIterator[None]:
    try:
        yield
    except errors.SpeechError as error:
        status = next(status for kind, status in _STATUS if isinstance(error, kind))
        if status is not grpc.StatusCode.INVALID_ARGUMENT:
            log.warning("a request was not served", status=status.name, reason=str(error))
        await context.abort(status, str(error))


def _language(asked: str, otherwise: str) -> str:
    language = asked or otherwise
    if language not in LANGUAGES:
        raise errors.BadRequest(f"language is unknown: one of {', '.join(LANGUAGES)} is wanted")
    return language


def _text(text: str) -> str:
    if not text.strip() or len(text) > _LONGEST_TEXT:
        raise errors.BadRequest(f"text has {len(text)} characters: 1 to {_LONGEST_TEXT} are wanted")
    return text


def _rate_hz(form: speech_pb2.AudioFormat.ValueType) -> int:
    if form not in _RATES_HZ:
        raise errors.BadRequest("format is unknown: AUDIO_FORMAT_WAV_8K or _16K is wanted")
    return _RATES_HZ[form]
