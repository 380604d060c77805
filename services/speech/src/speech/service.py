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
from speech.forms import Form
from speech.hearing import Hearing
from speech.stt.base import Outcome
from speech.tts.base import Synthesizer, Wording

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)

SERVICE = "salehi.speech.v1.SpeechService"
LANGUAGES = ("fa", "en")
_LONGEST_TEXT = 1000
_LONGEST_ID = 64
_ANSWER_MARGIN_S = 0.1  # so that our own status arrives before the caller stops waiting
_FORMS = {
    speech_pb2.AUDIO_FORMAT_UNSPECIFIED: Form.WAV,
    speech_pb2.AUDIO_FORMAT_WAV_8K: Form.WAV,
    speech_pb2.AUDIO_FORMAT_WAV_16K: Form.WAV16,
    speech_pb2.AUDIO_FORMAT_ULAW: Form.ULAW,
    speech_pb2.AUDIO_FORMAT_ALAW: Form.ALAW,
    speech_pb2.AUDIO_FORMAT_SLN16: Form.SLN16,
    speech_pb2.AUDIO_FORMAT_G722: Form.G722,
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

_REASON_KEY = "salehi-reason"
_REASONS: list[tuple[type[errors.SpeechError], str]] = [
    (errors.OutOfCredit, "out_of_credit"),
    (errors.BadToken, "bad_token"),
    (errors.NotConfigured, "not_configured"),
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
                request.audio,
                language,
                list(request.hotwords),
                self._budget_s(context),
                request.attempt_id,
            )
        log.info(
            "transcribed",
            attempt_id=request.attempt_id[:_LONGEST_ID],
            outcome=heard.transcript.outcome.value,
            engine=heard.engine,
            provider_trace=heard.transcript.trace_id,
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
            out_of_credit=heard.out_of_credit,
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
                    wording, _form(request.format), self._budget_s(context)
                )
        return speech_pb2.SynthesizeResponse(
            audio=spoken.audio, engine=spoken.engine, audio_s=spoken.length_s
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
        reasons = [reason for kind, reason in _REASONS if isinstance(error, kind)]
        await context.abort(status, str(error), tuple((_REASON_KEY, reason) for reason in reasons))


def _language(asked: str, otherwise: str) -> str:
    language = asked or otherwise
    if language not in LANGUAGES:
        raise errors.BadRequest(f"language is unknown: one of {', '.join(LANGUAGES)} is wanted")
    return language


def _text(text: str) -> str:
    if not text.strip() or len(text) > _LONGEST_TEXT:
        raise errors.BadRequest(f"text has {len(text)} characters: 1 to {_LONGEST_TEXT} are wanted")
    return text


def _form(wanted: speech_pb2.AudioFormat.ValueType) -> Form:
    if wanted not in _FORMS:
        names = ", ".join(speech_pb2.AudioFormat.keys())
        raise errors.BadRequest(f"format is unknown: one of {names} is wanted")
    return _FORMS[wanted]
