"""Speech to text: what an engine implements."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Protocol

from speech.audio import Recording


class Outcome(enum.Enum):
    """How a transcription ended."""

    RECOGNISED = "recognised"
    NOTHING_SAID = "nothing_said"
    NOT_UNDERSTOOD = "not_understood"


@dataclass(frozen=True)
class Utterance:
    """Something said, to be transcribed.

    Attributes:
        recording: what was said.
        language: the language spoken, `fa` or `en`.
        hotwords: single words the speaker is likely to use.
    """

    recording: Recording
    language: str
    hotwords: tuple[str, ...] = ()


@dataclass(frozen=True)
class Transcript:
    """What was said.

    Attributes:
        outcome: how it ended.
        text: the words; empty unless recognised. Personal data.
        units: what the provider bills for it, in its own units; 0 when it does not say.
        trace_id: the provider's own name for the request, for its support; empty without one.
    """

    outcome: Outcome
    text: str = ""
    units: float = field(default=0.0, compare=False)
    trace_id: str = field(default="", compare=False)

    @classmethod
    def of(cls, text: str, *, units: float = 0.0, trace_id: str = "") -> Transcript:
        """Give the transcript of an engine's words; none means not understood."""
        words = text.strip()
        outcome = Outcome.RECOGNISED if words else Outcome.NOT_UNDERSTOOD
        return cls(outcome, words, units, trace_id)


class SttEngine(Protocol):
    """Turns speech into text. Implement `recognise`; the guard and the transcriber add the rest."""

    @property
    def name(self) -> str:
        """Name of the engine in answers and metrics."""
        ...

    @property
    def languages(self) -> frozenset[str]:
        """Languages it understands."""
        ...

    @property
    def paid(self) -> bool:
        """Whether a request may cost money."""
        ...

    async def recognise(self, utterance: Utterance) -> Transcript:
        """Transcribe something said; takes as long as it takes, the guard waits no longer.

        Raises:
            ProviderError: no answer.
        """
        ...
