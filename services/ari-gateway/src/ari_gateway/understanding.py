"""From a recording to an intent, by way of the speech and intent services.

The one place of the gateway that knows their stubs and gRPC's errors.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import grpc
from grpc import aio
from opentelemetry import trace

from ari_gateway.backpressure import Backpressure
from ari_gateway.metrics import turn_stage
from ari_gateway.sessions.outcome import Intent
from salehi.intent.v1 import intent_pb2, intent_pb2_grpc
from salehi.speech.v1 import speech_pb2, speech_pb2_grpc
from servicekit.channel import Peer

tracer = trace.get_tracer(__name__)

SPEECH = "salehi.speech.v1.SpeechService"
INTENT = "salehi.intent.v1.IntentService"

_INTENTS = {
    intent_pb2.INTENT_YES: Intent.YES,
    intent_pb2.INTENT_NO: Intent.NO,
    intent_pb2.INTENT_NUMBER_QUESTION: Intent.NUMBER_QUESTION,
    intent_pb2.INTENT_DO_NOT_CALL: Intent.DO_NOT_CALL,
    intent_pb2.INTENT_UNKNOWN: Intent.UNKNOWN,
}

# Rules answer in milliseconds; this is for the way there and back.
_KEPT_FOR_INTENT_S = 0.3
_SHORTEST_TRY_S = 0.3
_REASON_KEY = "salehi-reason"
_REASONS = {"out_of_credit", "bad_token", "not_configured"}
_PROBLEMS = {
    grpc.StatusCode.FAILED_PRECONDITION: "refused",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "full",
    grpc.StatusCode.DEADLINE_EXCEEDED: "too_slow",
    grpc.StatusCode.UNAVAILABLE: "unavailable",
}
# A service that refuses for another reason (no credit, a bad recording) is not short of capacity.
_PUSHING_BACK = {
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.UNAVAILABLE,
}


class NotUnderstood(Exception):  # noqa: N818 - a state of the world
    """Speech or intent gave no answer.

    Attributes:
        reason: a word from a small set, for the call's outcome.
        out_of_credit: which providers refused for lack of credit: `stt`.
    """

    def __init__(self, reason: str, out_of_credit: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.out_of_credit = out_of_credit


@dataclass(frozen=True)
class Understood:
    """What a reply was.

    Attributes:
        heard: the words; empty when nothing was recognised. Personal data.
        intent: what they meant.
        decided_by: which path decided, in the contract's words; empty when nothing was classified.
        confidence: how sure that is, 0 to 1.
        evidence: name of the rule or model that decided.
        engine: who transcribed; empty when nobody was asked.
        out_of_credit: which providers refused for lack of credit: `stt`, `llm`.
    """

    heard: str
    intent: Intent
    decided_by: str = ""
    confidence: float = 0.0
    evidence: str = ""
    engine: str = ""
    out_of_credit: tuple[str, ...] = ()


class Understanding:
    """Asks speech, then intent; tells `pressure` how they bear it."""

    def __init__(
        self,
        speech: Peer,
        intent: Peer,
        *,
        pressure: Backpressure,
        language: str,
        stt_timeout_s: float,
        llm_timeout_s: float,
        budget_s: float,
    ) -> None:
        self._speech = speech_pb2_grpc.SpeechServiceStub(speech.channel)
        self._intent = intent_pb2_grpc.IntentServiceStub(intent.channel)
        self._pressure = pressure
        self._language = language
        self._stt_timeout_s = stt_timeout_s
        self._llm_timeout_s = llm_timeout_s
        self._budget_s = budget_s

    async def of(self, audio: bytes, attempt_id: str, ended_s: float | None = None) -> Understood:
        """Understand one reply.

        What is left of the turn's budget goes with each request, so that the services leave out
        what there is no time for: enhancing, then the LLM.

        Args:
            audio: WAV, 8 kHz mono.
            attempt_id: names the review copy, where those are kept.
            ended_s: when the caller stopped talking, by the loop's time; None counts from now.

        Raises:
            NotUnderstood: a service was away, slow, full, or refused.
        """
        now_s = asyncio.get_running_loop().time()
        deadline_s = (now_s if ended_s is None else ended_s) + self._budget_s
        said = await self._transcribe(audio, attempt_id, deadline_s)
        unpaid = ("stt",) if said.out_of_credit else ()
        if not said.text:
            return Understood("", Intent.UNKNOWN, engine=said.engine, out_of_credit=unpaid)
        meant = await self._classify(said.text, attempt_id, deadline_s)
        if meant.provider_state == intent_pb2.PROVIDER_STATE_OUT_OF_CREDIT:
            unpaid = (*unpaid, "llm")
        return Understood(
            heard=said.text,
            intent=_INTENTS.get(meant.intent, Intent.UNKNOWN),
            decided_by=intent_pb2.DecidedBy.Name(meant.decided_by),
            confidence=meant.confidence,
            evidence=meant.evidence,
            engine=said.engine,
            out_of_credit=unpaid,
        )

    async def _transcribe(
        self, audio: bytes, attempt_id: str, deadline_s: float
    ) -> speech_pb2.TranscribeResponse:
        request = speech_pb2.TranscribeRequest(
            audio=audio, language=self._language, attempt_id=attempt_id
        )
        left_s = deadline_s - _KEPT_FOR_INTENT_S - asyncio.get_running_loop().time()
        timeout_s = max(min(self._stt_timeout_s, left_s), _SHORTEST_TRY_S)
        began = time.perf_counter()
        try:
            with tracer.start_as_current_span("transcribe"):
                answer = await self._speech.Transcribe(request, timeout=timeout_s)
        except aio.AioRpcError as error:
            raise self._not_understood("speech", error) from error
        finally:
            turn_stage("transcribe", time.perf_counter() - began)
        self._pressure.understood("speech")
        turn_stage("enhance", answer.enhance_s)
        turn_stage("stt", answer.stt_s)
        return answer

    async def _classify(
        self, heard: str, attempt_id: str, deadline_s: float
    ) -> intent_pb2.ClassifyResponse:
        request = intent_pb2.ClassifyRequest(
            text=heard, language=self._language, attempt_id=attempt_id
        )
        left_s = deadline_s - asyncio.get_running_loop().time()
        timeout_s = max(min(self._llm_timeout_s, left_s), _SHORTEST_TRY_S)
        began = time.perf_counter()
        try:
            with tracer.start_as_current_span("classify"):
                answer = await self._intent.Classify(request, timeout=timeout_s)
        except aio.AioRpcError as error:
            raise self._not_understood("intent", error) from error
        finally:
            turn_stage("classify", time.perf_counter() - began)
        self._pressure.understood("intent")
        return answer

    def _not_understood(self, service: str, error: aio.AioRpcError) -> NotUnderstood:
        problem = _told_reason(error) or _PROBLEMS.get(error.code(), "unavailable")
        if error.code() in _PUSHING_BACK:
            self._pressure.pushed_back(service, problem.replace("_", " "))
        unpaid = ("stt",) if problem == "out_of_credit" else ()
        return NotUnderstood(f"{service}_{problem}", unpaid)


def _told_reason(error: aio.AioRpcError) -> str:
    """Give the reason that came with a refusal; empty without a known one."""
    told = error.trailing_metadata() or ()
    return next((str(value) for key, value in told if key == _REASON_KEY and value in _REASONS), "")
