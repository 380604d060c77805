"""Decides by rule what a short reply means.

The rules themselves are data (`data/rules_*.yaml`): word classes and patterns over them. They are
applied in the order of the file; each takes the words it matched, so that the "not" of "why not"
is not counted again as a refusal. An opt-out or the question about the number decides at once;
every other match is a signal, and the signals are weighed together at the end.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any

import yaml

from intent.errors import RuleDataError, TextTooLongError
from intent.lexicon import CONSUMED, OTHER, Lexicon
from intent.meaning import MAX_TEXT_CHARS, Language, Meaning, Verdict
from intent.normalise import language_of, normalise
from intent.patterns import compile_patterns, is_class, names_in


class Signal(StrEnum):
    """What one rule says about the reply."""

    DO_NOT_CALL = "do_not_call"
    NUMBER_QUESTION = "number_question"
    REFUSAL = "refusal"  # a clause that refuses: "not interested", "some other time"
    NO = "no"  # a bare "no", a good-bye
    WISH = "wish"  # a clause that asks for more: "put me through"
    YES = "yes"  # a bare "yes"
    PRAISE = "praise"  # "good": a yes only where nothing else is said
    QUESTION = "question"  # who, what: the caller has not decided
    UNSURE = "unsure"  # "I do not know", "perhaps"
    DOUBT = "doubt"  # a negation no rule could place
    NEUTRAL = "neutral"  # understood, and says nothing either way


_AT_ONCE = {
    Signal.DO_NOT_CALL: Meaning.DO_NOT_CALL,
    Signal.NUMBER_QUESTION: Meaning.NUMBER_QUESTION,
}
_WEIGHT = {
    Signal.REFUSAL: 3.0,
    Signal.NO: 2.0,
    Signal.WISH: 3.0,
    Signal.YES: 2.0,
    Signal.PRAISE: 1.0,
    Signal.QUESTION: 2.0,
    Signal.UNSURE: 2.0,
    Signal.DOUBT: 1.0,
    Signal.NEUTRAL: 0.5,
}
_FOR = {
    Meaning.NO: {Signal.REFUSAL, Signal.NO},
    Meaning.YES: {Signal.WISH, Signal.YES, Signal.PRAISE},
    Meaning.UNKNOWN: {Signal.QUESTION, Signal.UNSURE, Signal.NEUTRAL},
}
_UNEXPLAINED_WORD = 0.3
_IDLE_WORD = 0.15
_DOUBT_ALWAYS = 0.1
_CONFIDENCE_AT_ONCE = 0.97


@dataclass(frozen=True, slots=True)
class Rule:
    """One named rule: what it says, and the expression over symbols that says when."""

    name: str
    signal: Signal
    expression: re.Pattern[str]
    needs: frozenset[str]


class RuleBook:
    """The compiled rules of one language."""

    def __init__(self, language: Language, source: Mapping[str, Any]) -> None:
        self._language = language
        self._expand = {
            normalise(word): tuple(expansion.split())
            for expansion, words in source.get("expand", {}).items()
            for word in words.split()
        }
        self._joins = _joins(source.get("join", "").splitlines())
        patterns = {name: rule["match"].splitlines() for name, rule in source["rules"].items()}
        words = {name: entries.split() for name, entries in source["words"].items()}
        for name in names_in(line for lines in patterns.values() for line in lines):
            if not is_class(name):
                words[name] = [name]
        self._lexicon = Lexicon(words)
        self._fillers = dict.fromkeys(map(ord, self._lexicon.fillers()))
        self._rules = tuple(
            _compile_rule(f"{language}.{name}", source["rules"][name], lines, self._lexicon)
            for name, lines in patterns.items()
        )

    def classify(self, words: str) -> Verdict:
        """Decides about words that are already normalised."""
        if not words:
            return Verdict(Meaning.UNKNOWN, 1.0, f"{self._language}.nothing_said")
        symbols = "".join(map(self._lexicon.symbol_of, self._tokens(words)))
        symbols = symbols.translate(self._fillers)
        signals: Counter[Signal] = Counter()
        evidence: dict[Signal, str] = {}
        for rule in self._rules:
            if rule.needs.isdisjoint(symbols):
                continue
            symbols, matches = rule.expression.subn(CONSUMED, symbols)
            if not matches:
                continue
            if rule.signal in _AT_ONCE:
                return Verdict(_AT_ONCE[rule.signal], _CONFIDENCE_AT_ONCE, rule.name)
            signals[rule.signal] += matches
            evidence.setdefault(rule.signal, rule.name)
        return self._weigh(signals, evidence, symbols)

    def _tokens(self, words: str) -> list[str]:
        tokens: list[str] = []
        for raw in words.split():
            word = raw.strip("'")
            expansion = self._expand.get(word)
            if expansion:
                tokens.extend(expansion)
            elif word.endswith("n't"):
                tokens.extend((word[:-3], "not"))
            elif word:
                tokens.append(word)
        return _join(tokens, self._joins)

    def _weigh(
        self, signals: Counter[Signal], evidence: Mapping[Signal, str], left: str
    ) -> Verdict:
        unexplained = left.count(OTHER)
        meaning = _decide(signals, unexplained)
        backing = _FOR[meaning]
        share_for = sum(_WEIGHT[sig] * n for sig, n in signals.items() if sig in backing)
        against = signals.keys() - backing - {Signal.NEUTRAL}
        share_against = sum(_WEIGHT[sig] * signals[sig] for sig in against)
        share_against += _UNEXPLAINED_WORD * unexplained + _DOUBT_ALWAYS
        if meaning is Meaning.UNKNOWN:
            # Words that are known and yet led to nothing are no evidence that nothing was said.
            idle = len(left) - unexplained - left.count(CONSUMED)
            share_against += _IDLE_WORD * idle
        name = next((evidence[sig] for sig in Signal if sig in backing & signals.keys()), None)
        return Verdict(
            meaning,
            round(share_for / (share_for + share_against), 3),
            name or f"{self._language}.{'mixed' if signals else 'nothing_matched'}",
        )


def _decide(signals: Counter[Signal], unexplained: int) -> Meaning:
    """Weighs the signals; where they disagree the answer is never yes."""
    heard = +signals
    agreed = bool(heard.keys() & {Signal.WISH, Signal.YES})
    for signal, meaning in (
        (Signal.REFUSAL, Meaning.NO),
        (Signal.NO, Meaning.UNKNOWN if agreed else Meaning.NO),
        (Signal.UNSURE, Meaning.UNKNOWN),
        (Signal.DOUBT, Meaning.UNKNOWN),
        (Signal.WISH, Meaning.YES),
        (Signal.QUESTION, Meaning.UNKNOWN),
        (Signal.YES, Meaning.YES),
        (Signal.PRAISE, Meaning.UNKNOWN if unexplained else Meaning.YES),
    ):
        if signal in heard:
            return meaning
    return Meaning.UNKNOWN


def _compile_rule(
    name: str, source: Mapping[str, str], patterns: Iterable[str], lexicon: Lexicon
) -> Rule:
    try:
        avoid = source.get("avoid", "").split()
        expression, needs = compile_patterns(patterns, lexicon, avoid=avoid)
        return Rule(name, Signal(source["signal"]), expression, needs)
    except (RuleDataError, re.error, ValueError) as error:
        raise RuleDataError(f"rule {name}: {error}") from error


def _joins(lines: Iterable[str]) -> dict[str, list[tuple[str, ...]]]:
    """Returns, by first word, the groups of words that are read as one; longest first."""
    table: dict[str, list[tuple[str, ...]]] = {}
    for line in lines:
        group = tuple(normalise(line).split())
        table.setdefault(group[0], []).append(group)
    for groups in table.values():
        groups.sort(key=len, reverse=True)
    return table


def _join(tokens: list[str], joins: Mapping[str, list[tuple[str, ...]]]) -> list[str]:
    if joins.keys().isdisjoint(tokens):
        return tokens
    joined: list[str] = []
    index = 0
    while index < len(tokens):
        groups = joins.get(tokens[index], ())
        group = next((g for g in groups if tuple(tokens[index : index + len(g)]) == g), None)
        joined.append("".join(group) if group else tokens[index])
        index += len(group) if group else 1
    return joined


@cache
def rule_book(language: Language) -> RuleBook:
    """Returns the rules of a language, compiled once per process.

    Raises:
        RuleDataError: the shipped rule file is broken.
    """
    text = resources.files("intent").joinpath(f"data/rules_{language}.yaml").read_text("utf-8")
    # Plain strings throughout: to YAML, the words "yes", "no" and "on" would be booleans.
    return RuleBook(language, yaml.BaseLoader(text).get_single_data())


def check_length(text: str) -> None:
    """Refuses replies longer than the contract allows.

    Raises:
        TextTooLongError: more than `MAX_TEXT_CHARS` characters.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise TextTooLongError(f"text has more than {MAX_TEXT_CHARS} characters")


def classify(text: str, language: Language) -> Verdict:
    """Decides what `text`, spoken in a call in `language`, means.

    Raises:
        TextTooLongError: more than `MAX_TEXT_CHARS` characters.
    """
    check_length(text)
    words = normalise(text)
    return rule_book(language_of(words, language)).classify(words)
