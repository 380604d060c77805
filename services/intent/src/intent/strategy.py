"""Who decides: rules, LLM, or both; and what happens when the LLM is away."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import structlog
from opentelemetry import trace

from intent import metrics
from intent.errors import (
    LlmAnswerError,
    LlmBusyError,
    LlmError,
    LlmKeyRefusedError,
    LlmOutOfCreditError,
)
from intent.meaning import Language, Meaning, Verdict
from intent.memory import Memory
from intent.rules import Reading, Rules
from intent.settings import Strategy
from servicekit.breaker import Breaker, BreakerState

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)

SURE = 0.65
"""Confidence from which the rules decide alone."""

LLM_CONFIDENCE = 0.9
_BREAKER_GAUGE = {
    BreakerState.CLOSED: 0.0,
    BreakerState.HALF_OPEN: 1.0,
    BreakerState.OPEN: 2.0,
}


class DecidedBy(Enum):
    """Which path decided."""

    RULES = "rules"
    LLM = "llm"
    RULES_FALLBACK = "rules_fallback"


class ProviderState(Enum):
    """What became of asking the LLM."""

    NOT_ASKED = "not_asked"
    OK = "ok"
    UNAVAILABLE = "unavailable"
    OUT_OF_CREDIT = "out_of_credit"


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict, of which reply, and how it came about."""

    reply: Reading
    verdict: Verdict
    decided_by: DecidedBy
    provider_state: ProviderState


class AnswersReplies(Protocol):
    """An LLM that can be asked about one reply."""

    model: str

    async def ask(self, text: str, language: Language, timeout_s: float) -> Meaning:
        """Returns what the reply means, or raises an `LlmError`."""
        ...


class Classifier:
    """Decides replies by one strategy.

    Without an LLM the rules decide alone. What the rules heard of an opt-out, a refusal, the
    question about the number or orders to a machine, the LLM cannot turn into a yes; and where it
    gives no answer in time the rules' best guess is the decision.
    """

    def __init__(
        self,
        strategy: Strategy,
        llm: AnswersReplies | None,
        breaker: Breaker,
        budget_s: float,
        *,
        rules: Rules | None = None,
        memory: Memory | None = None,
    ) -> None:
        """Makes a classifier.

        Args:
            strategy: who decides.
            llm: whom to ask, or None.
            breaker: keeps from asking an LLM that keeps failing.
            budget_s: longest time for one decision in seconds.
            rules: the rules; the shipped ones where none are given.
            memory: where answers of the LLM are kept.
        """
        self._strategy = strategy
        self._llm = llm
        self._breaker = breaker
        self._budget_s = budget_s
        self._rules = rules or Rules()
        self._memory = memory or Memory()
        self._out_of_credit = False
        self._key_refused = False
        metrics.LLM_BREAKER.set_function(lambda: _BREAKER_GAUGE[breaker.state])
        metrics.LLM_OUT_OF_CREDIT.set_function(lambda: float(self._out_of_credit))

    async def decide(self, text: str, spoken: Language, budget_s: float | None = None) -> Decision:
        """Decides what `text` means, within the smaller of both budgets (seconds).

        Takes any text.
        """
        reply = self._rules.read(text, spoken)
        decision = Decision(reply, reply.verdict, DecidedBy.RULES, ProviderState.NOT_ASKED)
        if self._llm is not None and self._asks_llm(reply):
            budget_s = min(self._budget_s, self._budget_s if budget_s is None else budget_s)
            decision = await self._ask(self._llm, reply, budget_s)
        metrics.DECISIONS.labels(
            reply.language, decision.verdict.meaning.value, decision.decided_by.value
        ).inc()
        return decision

    def _asks_llm(self, reply: Reading) -> bool:
        if self._strategy is Strategy.RULES_ONLY or not reply.words:
            return False
        if reply.verdict.meaning is Meaning.DO_NOT_CALL:
            return False
        return self._strategy is Strategy.LLM_FIRST or reply.verdict.confidence < SURE

    async def _ask(self, llm: AnswersReplies, reply: Reading, budget_s: float) -> Decision:
        key = (reply.language, reply.words)
        known = self._memory.recall(key)
        if known is not None:
            metrics.REMEMBERED.inc()
            return _by_llm(llm, known, reply, ProviderState.NOT_ASKED)
        why_not = "late" if budget_s <= 0 else "" if self._breaker.allows() else "breaker"
        if why_not:
            metrics.LLM_NOT_ASKED.labels(why_not).inc()
            return _by_fallback(reply, self._state_while_away())
        with tracer.start_as_current_span("ask llm"):
            try:
                meaning = await llm.ask(reply.text, reply.language, budget_s)
            except LlmError as error:
                return _by_fallback(reply, self._note_failure(error))
        self._note_answer()
        self._memory.keep(key, meaning)
        return _by_llm(llm, meaning, reply, ProviderState.OK)

    def _note_answer(self) -> None:
        self._breaker.succeeded()
        self._out_of_credit = self._key_refused = False

    def _note_failure(self, error: LlmError) -> ProviderState:
        """Draws the breaker's consequences; returns what the caller is told of the LLM."""
        if isinstance(error, LlmBusyError):
            metrics.LLM_NOT_ASKED.labels("busy").inc()
            return self._state_while_away()
        if isinstance(error, LlmAnswerError):
            self._note_answer()
            log.warning("the LLM gave no usable answer", reason=str(error))
            return ProviderState.OK
        self._out_of_credit = isinstance(error, LlmOutOfCreditError)
        if isinstance(error, LlmKeyRefusedError):
            self._note_refused_key()
            return ProviderState.UNAVAILABLE
        log.warning("the rules decide without the LLM", reason=str(error))
        if self._out_of_credit:
            self._breaker.open_now()
        else:
            self._breaker.failed()
        return self._state_while_away()

    def _note_refused_key(self) -> None:
        self._breaker.open_now()
        if not self._key_refused:
            log.error(
                "the LLM refuses GAPGPT_API_KEY: set a key that is valid at GAPGPT_BASE_URL and "
                "start again; until then the rules decide"
            )
        self._key_refused = True

    def _state_while_away(self) -> ProviderState:
        return ProviderState.OUT_OF_CREDIT if self._out_of_credit else ProviderState.UNAVAILABLE


def _by_llm(
    llm: AnswersReplies, meaning: Meaning, reply: Reading, state: ProviderState
) -> Decision:
    heard = reply.verdict
    if meaning is Meaning.YES and heard.bars_yes:
        # Nobody is put through on the word of a model alone that a refusal speaks against: it may
        # have obeyed the caller instead of understanding him.
        metrics.LLM_OVERRULED.inc()
        return Decision(reply, heard, DecidedBy.RULES, state)
    verdict = Verdict(meaning, LLM_CONFIDENCE, llm.model, heard.matched)
    return Decision(reply, verdict, DecidedBy.LLM, state)


def _by_fallback(reply: Reading, state: ProviderState) -> Decision:
    return Decision(reply, reply.verdict, DecidedBy.RULES_FALLBACK, state)
