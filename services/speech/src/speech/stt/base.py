"""Speech to text: what an engine implements, and what every engine gets."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from speech.audio import Recording
from speech.guard import Guard


class Outcome(enum.Enum):
    """How a transcription ended."""

    RECOGNISED = "recognised"
    NOTHING_SAID = "nothing_said"
    NOT_UNDERSTOOD = "not_understood"


@dataclass(frozen=True)
class Transcript:
    """What was said.

    Attributes:
        outcome: how it ended.
        text: the words; empty unless recognised. Personal data.
    """

    outcome: Outcome
    text: str = ""

    @classmethod
    def of(cls, text: str) -> Transcript:
        """Give the transcript of an engine's words; none means not understood."""
        words = text.strip()
        return cls(Outcome.RECOGNISED, words) if words else cls(Outcome.NOT_UNDERSTOOD)


class SttEngine(Protocol):
    """Turns speech into text. Implement `recognise`; the guard adds the rest."""

    @property
    def name(self) -> str:
        """Name of the engine in answers and metrics."""
        ...

    @property
    def languages(self) -> frozenset[str]:
        """Languages it understands."""
        ...

    async def recognise(
        self, recording: Recording, hotwords: Sequence[str], timeout_s: float
    ) -> Transcript:
        """Transcribe a recording in which somebody speaks.

        Raises:
            ProviderError: no answer.
        """
        ...


class Transcriber:
    """An engine behind its guard."""

    def __init__(self, engine: SttEngine, guard: Guard) -> None:
        self.engine = engine
        self._guard = guard

    def expect_place(self, budget_s: float) -> None:
        """Check that a recording that comes now can be served within `budget_s` seconds.

        Raises:
            AtCapacity: not to be expected.
        """
        self._guard.expect_place(budget_s)

    async def transcribe(
        self, recording: Recording, hotwords: Sequence[str], budget_s: float
    ) -> Transcript:
        """Transcribe within `budget_s` seconds.

        Raises:
            AtCapacity: no place in time.
            ProviderError: no answer.
        """

        async def request(timeout_s: float) -> Transcript:
            return await self.engine.recognise(recording, hotwords, timeout_s)

        return await self._guard.ask(request, budget_s)
