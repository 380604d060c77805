"""Sums up trials: how much was understood, and how much was made up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

UNKNOWN = "unknown"
YES = "yes"


def word_errors(said: str, heard: str) -> int:
    """Count the words to be put in, left out or changed to make one text the other."""
    wanted, given = said.split(), heard.split()
    row = list(range(len(given) + 1))
    for number, word in enumerate(wanted, start=1):
        above, row[0] = row[0], number
        for at, other in enumerate(given, start=1):
            above, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, above + (word != other))
    return row[-1]


@dataclass(frozen=True)
class Outcome:
    """What was said, what it meant, and what was made of it.

    Attributes:
        said: the words; empty when they are not known.
        intent: what they mean.
        heard: the words that were understood.
        found: what they were taken for.
        is_known: whether an engine with a grammar could have known the sentence.
    """

    said: str
    intent: str
    heard: str
    found: str
    is_known: bool


@dataclass(frozen=True)
class Share:
    """So many of so many."""

    some: int
    whole: int

    def __str__(self) -> str:
        """Give it in per cent; a dash where there is nothing to count."""
        return f"{100 * self.some / self.whole:.1f}" if self.whole else "-"


def word_accuracy(outcomes: Sequence[Outcome]) -> Share:
    """Give the share of words that arrived, of sentences the engine could have known."""
    known = [outcome for outcome in outcomes if outcome.is_known and outcome.said]
    words = sum(len(outcome.said.split()) for outcome in known)
    wrong = sum(word_errors(outcome.said, outcome.heard) for outcome in known)
    return Share(max(0, words - wrong), words)


def _share(
    outcomes: Sequence[Outcome],
    of: Callable[[Outcome], bool],
    counts: Callable[[Outcome], bool],
) -> Share:
    asked = [outcome for outcome in outcomes if of(outcome)]
    return Share(sum(map(counts, asked)), len(asked))


def intent_accuracy(outcomes: Sequence[Outcome], *, known: bool | None = None) -> Share:
    """Give the share of answers taken for what they mean; `known` sentences, others, or all."""
    return _share(
        outcomes,
        lambda one: one.intent != UNKNOWN and known in {None, one.is_known},
        lambda one: one.found == one.intent,
    )


def false_answers(outcomes: Sequence[Outcome]) -> Share:
    """Give the share of speech that answers nothing and was taken for an answer."""
    return _share(outcomes, lambda one: one.intent == UNKNOWN, lambda one: one.found != UNKNOWN)


def false_yes(outcomes: Sequence[Outcome]) -> Share:
    """Give the share of everything that is no yes and was taken for one."""
    return _share(outcomes, lambda one: one.intent != YES, lambda one: one.found == YES)


def wrong_answers(outcomes: Sequence[Outcome]) -> Share:
    """Give the share of answers that were taken for another answer."""
    return _share(
        outcomes,
        lambda one: one.intent != UNKNOWN,
        lambda one: one.found not in {one.intent, UNKNOWN},
    )
