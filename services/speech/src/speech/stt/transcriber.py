"""Engines in their order: the first that can answer does, within the caller's time and means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import structlog

from servicekit.clock import Clock, SystemClock
from speech.errors import AtCapacity, NotConfigured, OutOfCredit, ProviderError
from speech.guard import Bill, Guard
from speech.metrics import FAILOVERS, UNITS
from speech.stt.base import SttEngine, Transcript, Utterance

log = structlog.get_logger(__name__)

_SHARE = 0.5
"""Of the time left, for an engine that others can follow."""


@dataclass(frozen=True)
class GuardedStt:
    """An engine and what stands before it."""

    engine: SttEngine
    guard: Guard


@dataclass(frozen=True)
class Transcribed:
    """What became of something said.

    Attributes:
        transcript: the words.
        engine: who heard them.
        out_of_credit: whether an engine before that one refuses for lack of credit.
    """

    transcript: Transcript
    engine: str
    out_of_credit: bool


class Transcriber:
    """Asks engines in their order until one answers.

    At most two requests that may be billed are sent for one utterance, over all engines. An engine
    that costs nothing is asked whatever happened before it. Where another paid engine can follow,
    a failed request is not repeated but given to that: it is the likelier to answer.
    """

    def __init__(
        self,
        engines: Sequence[GuardedStt],
        hotwords: Sequence[str] = (),
        clock: Clock | None = None,
    ) -> None:
        """Take engines in the order they are asked; `hotwords` stand in where none are given."""
        self._engines = tuple(engines)
        self._hotwords = tuple(hotwords)
        self._clock = clock or SystemClock()

    def check_language(self, language: str) -> None:
        """Check that some engine understands a language.

        Raises:
            NotConfigured: none does.
        """
        self._for_language(language)

    def expect_answer(self, language: str, budget_s: float) -> float:
        """Check that an utterance that comes now can be served; give the seconds it will take.

        Raises:
            NotConfigured: no engine understands the language.
            AtCapacity: no engine has a place within `budget_s` seconds.
            ProviderError: every engine is passed over for now.
        """
        failures: list[AtCapacity | ProviderError] = []
        for candidate in self._for_language(language):
            reason = candidate.guard.passed_over()
            if reason is not None:
                failures.append(reason)
                continue
            try:
                candidate.guard.expect_place(budget_s)
            except AtCapacity as error:
                failures.append(error)
            else:
                return candidate.guard.typical_s
        raise failures[0]

    def _for_language(self, language: str) -> list[GuardedStt]:
        """Give the engines that understand a language.

        Raises:
            NotConfigured: there is none.
        """
        found = [item for item in self._engines if language in item.engine.languages]
        if not found:
            names = ", ".join(item.engine.name for item in self._engines)
            raise NotConfigured(
                f"no engine transcribes {language}, there is only {names}: "
                "set VIRA_STT_TOKEN or STT_BASE_URL, and name the engine if STT_PROVIDERS is set"
            )
        return found

    async def transcribe(self, utterance: Utterance, budget_s: float) -> Transcribed:
        """Transcribe within `budget_s` seconds.

        Raises:
            NotConfigured: no engine understands the language.
            AtCapacity: no engine had a place in time.
            ProviderError: no engine answered; why the first did not, for it is the one that should.
        """
        deadline_s = self._clock.monotonic_s() + budget_s
        wanted = Utterance(
            utterance.recording,
            utterance.language,
            tuple(_single_words(utterance.hotwords or self._hotwords)),
        )
        bill = Bill()
        failures: list[AtCapacity | ProviderError] = []
        candidates = self._for_language(utterance.language)
        for place, candidate in enumerate(candidates):
            left_s = deadline_s - self._clock.monotonic_s()
            if failures and (left_s <= 0 or (candidate.engine.paid and bill.left <= 0)):
                continue
            try:
                transcript = await self._ask(
                    candidate, candidates[place + 1 :], wanted, left_s, bill
                )
            except (AtCapacity, ProviderError) as error:
                failures.append(error)
                continue
            refused = any(isinstance(failure, OutOfCredit) for failure in failures)
            return Transcribed(transcript, candidate.engine.name, refused)
        raise failures[0]

    async def _ask(
        self,
        candidate: GuardedStt,
        later: Sequence[GuardedStt],
        utterance: Utterance,
        left_s: float,
        bill: Bill,
    ) -> Transcript:
        engine, guard = candidate.engine, candidate.guard
        followers = [item.engine for item in later if item.guard.passed_over() is None]
        reason = guard.passed_over()
        try:
            if reason is not None:
                raise reason
            transcript = await guard.ask(
                lambda _limit_s: engine.recognise(utterance),
                left_s * _SHARE if followers else left_s,
                bill=bill if engine.paid else None,
                tries=1 if any(follower.paid for follower in followers) else None,
            )
        except (AtCapacity, ProviderError) as error:
            if followers:
                FAILOVERS.labels(engine.name, type(error).__name__).inc()
            if isinstance(error, ProviderError) and error is not reason:
                log.warning(
                    "an engine did not answer",
                    engine=engine.name,
                    reason=str(error),
                    provider_trace=error.trace_id,
                )
            raise
        UNITS.labels(engine.name).inc(transcript.units)
        return transcript


def _single_words(hotwords: Sequence[str]) -> Iterator[str]:
    """Leave out phrases: engines take single words."""
    return (word.strip() for word in hotwords if len(word.split()) == 1)
