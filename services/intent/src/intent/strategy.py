"""Who decides: rules, LLM, or both; and what happens when the LLM is away."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import structlog
from opentelemetry import trace

from intent import metrics
from intent.errors import LlmAnswerError, LlmBusyError, LlmOutOfCreditError, LlmUnavailableError
from intent.meaning import Language, Meaning, Verdict
from intent.normalise import language_of, normalise
from intent.rules import check_length, rule_book
from intent.settings import Strategy
from servicekit.breaker import Breaker

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)

SURE = 0.65
"""Confidence from which the rules decide alone."""

LLM_CONFIDENCE = 0.9
_REMEMBERED_ANSWERS = 2048


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
    """A verdict and how it came about."""

    verdict: Verdict
    decided_by: DecidedBy
    provider_state: ProviderState


class AnswersReplies(Protocol):
    """An LLM that can be asked about one reply."""

    model: str

    async def ask(self, text: str, language: Language, timeout_s: float) -> Meaning:
        """Returns what the reply means, or raises an `LlmError`."""
        ...


@dataclass(frozen=True, slots=True)
class _Reply:
    """One reply on its way to the LLM: as spoken, as words, and what the rules make of it."""

    text: str
    words: str
    language: Language
    by_rules: Verdict

    @property
    def key(self) -> tuple[Language, str]:
        return self.language, self.words


class Classifier:
    """Decides replies by one strategy.

    Without an LLM the rules decide alone. An opt-out the rules heard stands, whatever the LLM
    says; and where the LLM gives no answer in time the rules' best guess is the decision.
    """

    def __init__(
        self, strategy: Strategy, llm: AnswersReplies | None, breaker: Breaker, budget_s: float
    ) -> None:
        """Makes a classifier.

        Args:
            strategy: who decides.
            llm: whom to ask, or None.
            breaker: keeps from asking an LLM that keeps failing.
            budget_s: longest time for one decision in seconds.
        """
        self._strategy = strategy
        self._llm = llm
        self._breaker = breaker
        self._budget_s = budget_s
        self._out_of_credit = False
        self._remembered: OrderedDict[tuple[Language, str], Meaning] = OrderedDict()

    async def decide(self, text: str, spoken: Language, budget_s: float | None = None) -> Decision:
        """Decides what `text` means, within the smaller of both budgets (seconds).

        Raises:
            TextTooLongError: the text is longer than the contract allows.
        """
        check_length(text)
        words = normalise(text)
        language = language_of(words, spoken)
        by_rules = rule_book(language).classify(words)
        decision = Decision(by_rules, DecidedBy.RULES, ProviderState.NOT_ASKED)
        if self._llm is not None and self._asks_llm(words, by_rules):
            budget_s = min(self._budget_s, self._budget_s if budget_s is None else budget_s)
            reply = _Reply(text.strip(), words, language, by_rules)
            decision = await self._ask(self._llm, reply, budget_s)
        metrics.DECISIONS.labels(
            language, decision.verdict.meaning.value, decision.decided_by.value
        ).inc()
        return decision

    def _asks_llm(self, words: str, by_rules: Verdict) -> bool:
        if self._strategy is Strategy.RULES_ONLY or not words:
            return False
        if by_rules.meaning is Meaning.DO_NOT_CALL:
            return False
        return self._strategy is Strategy.LLM_FIRST or by_rules.confidence < SURE

    async def _ask(self, llm: AnswersReplies, reply: _Reply, budget_s: float) -> Decision:
        known = self._remembered.get(reply.key)
        if known is not None:
            self._remembered.move_to_end(reply.key)
            metrics.REMEMBERED.inc()
            return _by_llm(llm, known, ProviderState.NOT_ASKED)
        if budget_s <= 0 or not self._breaker.allows():
            return _by_fallback(reply, self._state_while_away())
        with tracer.start_as_current_span("ask llm"):
            try:
                meaning = await llm.ask(reply.text, reply.language, budget_s)
            except LlmAnswerError as error:
                self._breaker.succeeded()
                log.warning("the LLM gave no usable answer", reason=str(error))
                return _by_fallback(reply, ProviderState.OK)
            except (LlmUnavailableError, LlmBusyError, LlmOutOfCreditError) as error:
                self._note_failure(error)
                return _by_fallback(reply, self._state_while_away())
        self._breaker.succeeded()
        self._out_of_credit = False
        self._remember(reply.key, meaning)
        return _by_llm(llm, meaning, ProviderState.OK)

    def _note_failure(self, error: Exception) -> None:
        log.warning("the rules decide without the LLM", reason=str(error))
        if isinstance(error, LlmOutOfCreditError):
            self._out_of_credit = True
            self._breaker.open_now()
        elif isinstance(error, LlmUnavailableError):
            self._out_of_credit = False
            self._breaker.failed()

    def _state_while_away(self) -> ProviderState:
        return ProviderState.OUT_OF_CREDIT if self._out_of_credit else ProviderState.UNAVAILABLE

    def _remember(self, key: tuple[Language, str], meaning: Meaning) -> None:
        self._remembered[key] = meaning
        if len(self._remembered) > _REMEMBERED_ANSWERS:
            self._remembered.popitem(last=False)


def _by_llm(llm: AnswersReplies, meaning: Meaning, state: ProviderState) -> Decision:
    return Decision(Verdict(meaning, LLM_CONFIDENCE, llm.model), DecidedBy.LLM, state)


def _by_fallback(reply: _Reply, state: ProviderState) -> Decision:
    return Decision(reply.by_rules, DecidedBy.RULES_FALLBACK, state)
