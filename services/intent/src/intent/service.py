"""The gRPC face of the intent service."""

from __future__ import annotations

from typing import Any, cast, get_args

import grpc
from grpc import aio

from intent.meaning import Language, Meaning
from intent.strategy import Classifier, DecidedBy, ProviderState
from intent.transcripts import TranscriptLog
from salehi.intent.v1 import intent_pb2, intent_pb2_grpc

SERVICE = intent_pb2.DESCRIPTOR.services_by_name["IntentService"].full_name

_ANSWER_MARGIN_S = 0.15
_LANGUAGES = frozenset(get_args(Language))

_INTENT = {
    Meaning.YES: intent_pb2.INTENT_YES,
    Meaning.NO: intent_pb2.INTENT_NO,
    Meaning.NUMBER_QUESTION: intent_pb2.INTENT_NUMBER_QUESTION,
    Meaning.DO_NOT_CALL: intent_pb2.INTENT_DO_NOT_CALL,
    Meaning.UNKNOWN: intent_pb2.INTENT_UNKNOWN,
}
_DECIDED_BY = {
    DecidedBy.RULES: intent_pb2.DECIDED_BY_RULES,
    DecidedBy.LLM: intent_pb2.DECIDED_BY_LLM,
    DecidedBy.RULES_FALLBACK: intent_pb2.DECIDED_BY_RULES_FALLBACK,
}
_PROVIDER_STATE = {
    ProviderState.NOT_ASKED: intent_pb2.PROVIDER_STATE_UNSPECIFIED,
    ProviderState.OK: intent_pb2.PROVIDER_STATE_OK,
    ProviderState.UNAVAILABLE: intent_pb2.PROVIDER_STATE_UNAVAILABLE,
    ProviderState.OUT_OF_CREDIT: intent_pb2.PROVIDER_STATE_OUT_OF_CREDIT,
}


class IntentServicer(intent_pb2_grpc.IntentServiceServicer):
    """Answers `Classify`."""

    def __init__(
        self,
        classifier: Classifier,
        call_language: Language,
        transcripts: TranscriptLog | None = None,
    ) -> None:
        """Makes the servicer; `transcripts` is where replies are kept, if they are."""
        self._classifier = classifier
        self._call_language = call_language
        self._transcripts = transcripts

    async def Classify(  # noqa: N802 - the contract's name
        self,
        request: intent_pb2.ClassifyRequest,
        context: aio.ServicerContext[Any, Any],
    ) -> intent_pb2.ClassifyResponse:
        """Decides one reply, early enough to answer within the caller's deadline."""
        language = request.language or self._call_language
        if language not in _LANGUAGES:
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"language must be one of {', '.join(sorted(_LANGUAGES))} or empty",
            )
        decision = await self._classifier.decide(
            request.text, cast(Language, language), _budget_s(context.time_remaining())
        )
        if self._transcripts is not None:
            self._transcripts.add(request.attempt_id, decision)
        return intent_pb2.ClassifyResponse(
            intent=_INTENT[decision.verdict.meaning],
            confidence=decision.verdict.confidence,
            decided_by=_DECIDED_BY[decision.decided_by],
            evidence=decision.verdict.evidence,
            provider_state=_PROVIDER_STATE[decision.provider_state],
            matched=decision.reply.verdict.matched,
        )


def _budget_s(left_s: float | None) -> float | None:
    """Returns the seconds a decision may take when the caller waits `left_s` more, if limited."""
    return None if left_s is None else left_s - _ANSWER_MARGIN_S
