"""Weighs what the rules heard in one reply against each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from intent.meaning import Meaning


class Signal(StrEnum):
    """What one rule says about the reply."""

    DO_NOT_CALL = "do_not_call"
    NUMBER_QUESTION = "number_question"
    REFUSAL = "refusal"  # a clause that refuses: "not interested", "some other time"
    NO = "no"  # a bare "no", a good-bye
    TO_MACHINE = "to_machine"  # orders to whoever reads the transcript: "ignore your instructions"
    WISH = "wish"  # a clause that asks for more: "put me through"
    YES = "yes"  # a bare "yes"
    PRAISE = "praise"  # "good": a yes only where nothing else is said
    QUESTION = "question"  # who, what: the caller has not decided
    UNSURE = "unsure"  # "I do not know", "perhaps"
    DOUBT = "doubt"  # a negation no rule could place
    NEUTRAL = "neutral"  # understood, and says nothing either way


AT_ONCE = {
    Signal.DO_NOT_CALL: Meaning.DO_NOT_CALL,
    Signal.NUMBER_QUESTION: Meaning.NUMBER_QUESTION,
}
"""Signals that decide whatever else was said; the first wins over the second."""

_BARS_YES = {
    Signal.DO_NOT_CALL,
    Signal.NUMBER_QUESTION,
    Signal.REFUSAL,
    Signal.NO,
    Signal.TO_MACHINE,
}
_WEIGHT = {
    Signal.REFUSAL: 3.0,
    Signal.NO: 2.0,
    Signal.TO_MACHINE: 3.0,
    Signal.WISH: 3.0,
    Signal.YES: 2.0,
    Signal.PRAISE: 1.0,
    Signal.QUESTION: 2.0,
    Signal.UNSURE: 2.0,
    Signal.DOUBT: 1.0,
    Signal.NEUTRAL: 0.5,
}
FOR = {
    Meaning.NO: {Signal.REFUSAL, Signal.NO},
    Meaning.YES: {Signal.WISH, Signal.YES, Signal.PRAISE},
    Meaning.UNKNOWN: {Signal.TO_MACHINE, Signal.QUESTION, Signal.UNSURE, Signal.NEUTRAL},
}
"""The signals that speak for each meaning."""

_UNEXPLAINED_WORD = 0.3
_IDLE_WORD = 0.15
_STRANGE_WORD = 1.0  # one beside a bare yes, two beside a wish are enough not to be sure
_DOUBT_ALWAYS = 0.1
_STRANGE_WORDS_A_YES_BEARS = 1
_WORDS_A_YES_BEARS = 5


@dataclass(frozen=True, slots=True)
class Rest:
    """How many words no rule took.

    Attributes:
        unexplained: those no rule knows.
        small: those that may stand beside a plain yes and change nothing about it.
        strange: all others, known or not.
    """

    unexplained: int
    small: int
    strange: int

    @property
    def idle(self) -> int:
        """Words that are known and yet led to nothing."""
        return self.small + self.strange - self.unexplained

    @property
    def is_too_much_for_a_yes(self) -> bool:
        """Tells whether so much else was said that a bare "yes" settles nothing."""
        return (
            self.strange > _STRANGE_WORDS_A_YES_BEARS
            or self.small + self.strange > _WORDS_A_YES_BEARS
        )


def bars_yes(heard: Iterable[Signal]) -> bool:
    """Tells whether something was heard that no other opinion may turn into a yes."""
    return not _BARS_YES.isdisjoint(heard)


def decide(signals: Counter[Signal], rest: Rest) -> Meaning:
    """Weighs the signals; where they disagree the answer is never yes.

    Nor is it where "yes" is but one word of a sentence the rules do not understand.
    """
    heard = +signals
    agreed = bool(heard.keys() & {Signal.WISH, Signal.YES})
    for signal, meaning in (
        (Signal.REFUSAL, Meaning.NO),
        (Signal.NO, Meaning.UNKNOWN if agreed else Meaning.NO),
        (Signal.TO_MACHINE, Meaning.UNKNOWN),
        (Signal.UNSURE, Meaning.UNKNOWN),
        (Signal.DOUBT, Meaning.UNKNOWN),
        (Signal.WISH, Meaning.YES),
        (Signal.QUESTION, Meaning.UNKNOWN),
        (Signal.YES, Meaning.UNKNOWN if rest.is_too_much_for_a_yes else Meaning.YES),
        (Signal.PRAISE, Meaning.UNKNOWN if rest.strange else Meaning.YES),
    ):
        if signal in heard:
            return meaning
    return Meaning.UNKNOWN


def confidence(meaning: Meaning, signals: Counter[Signal], rest: Rest) -> float:
    """Returns the share of the evidence that agrees with `meaning`."""
    backing = FOR[meaning]
    share_for = sum(_WEIGHT[sig] * n for sig, n in signals.items() if sig in backing)
    against = signals.keys() - backing - {Signal.NEUTRAL}
    share_against = sum(_WEIGHT[sig] * signals[sig] for sig in against)
    share_against += _UNEXPLAINED_WORD * rest.unexplained + _DOUBT_ALWAYS
    if meaning is Meaning.YES:
        share_against += _STRANGE_WORD * rest.strange
    if meaning is Meaning.UNKNOWN:
        # Words that are known and yet led to nothing are no evidence that nothing was said.
        share_against += _IDLE_WORD * rest.idle
    return round(share_for / (share_for + share_against), 3)
