"""The compiled rules of one language.

Rules are applied in the order of their file; each takes the words it matched, so that the "not" of
"why not" is not counted again as a refusal. An opt-out or the question about the number decides
whatever else was said; every other match is a signal, and the signals are weighed together.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from intent.errors import RuleDataError
from intent.lexicon import CONSUMED, OTHER, Lexicon, is_word
from intent.meaning import Language, Meaning, Verdict
from intent.normalise import normalise
from intent.patterns import compile_patterns, is_class, names_in
from intent.weighing import AT_ONCE, FOR, Rest, Signal, bars_yes, confidence, decide

CAMPAIGN = "campaign."
"""What names of a campaign's rules begin with; those of shipped rules begin with the language."""

_CONFIDENCE_AT_ONCE = 0.97
_SMALL_CLASSES = ("SMALL", "POLITE")  # words that change nothing about a yes they stand beside
_WEIGHED_WORDS = 80  # of more, the first and the last half: nobody says so many in one reply


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
        """Compiles a rule file that was read.

        Raises:
            RuleDataError: a rule cannot be compiled; names the rule and the pattern.
        """
        self._language = language
        self._expand = {
            normalise(word): tuple(expansion.split())
            for expansion, words in source.get("expand", {}).items()
            for word in words.split()
        }
        self._joins = _joins(source.get("join", "").splitlines())
        patterns = {
            name: [line for line in rule["match"].splitlines() if line.strip()]
            for name, rule in source["rules"].items()
        }
        words = {name: entries.split() for name, entries in source["words"].items()}
        for name in names_in(line for lines in patterns.values() for line in lines):
            if not is_class(name) and is_word(name):
                words[name] = [name]
        self._lexicon = Lexicon(words)
        self._fillers = dict.fromkeys(map(ord, self._lexicon.fillers()))
        self._small = self._lexicon.symbols_of_any(_SMALL_CLASSES)
        self._rules = tuple(
            _compile_rule(
                name if name.startswith(CAMPAIGN) else f"{language}.{name}",
                source["rules"][name],
                lines,
                self._lexicon,
            )
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
        matched: list[str] = []
        for rule in self._rules:
            if rule.needs.isdisjoint(symbols):
                continue
            symbols, matches = rule.expression.subn(CONSUMED, symbols)
            if matches:
                signals[rule.signal] += matches
                evidence.setdefault(rule.signal, rule.name)
                matched.append(rule.name)
        return self._verdict(signals, evidence, symbols, tuple(matched))

    def _tokens(self, words: str) -> list[str]:
        tokens: list[str] = []
        spoken = words.split()
        if len(spoken) > _WEIGHED_WORDS:
            spoken = spoken[: _WEIGHED_WORDS // 2] + spoken[-_WEIGHED_WORDS // 2 :]
        for raw in spoken:
            word = raw.strip("'")
            expansion = self._expand.get(word)
            if expansion:
                tokens.extend(expansion)
            elif word.endswith("n't"):
                tokens.extend((word[:-3], "not"))
            elif word.endswith("'s"):
                tokens.extend((word[:-2], "is"))
            elif word:
                tokens.extend(self._lexicon.split(word))
        return _join(tokens, self._joins)

    def _verdict(
        self,
        signals: Counter[Signal],
        evidence: Mapping[Signal, str],
        left: str,
        matched: tuple[str, ...],
    ) -> Verdict:
        for signal, meaning in AT_ONCE.items():
            if signal in signals:
                return Verdict(meaning, _CONFIDENCE_AT_ONCE, evidence[signal], matched, True)
        untaken = left.replace(CONSUMED, "")
        small = sum(symbol in self._small for symbol in untaken)
        rest = Rest(untaken.count(OTHER), small, len(untaken) - small)
        meaning = decide(signals, rest)
        backing = FOR[meaning] & signals.keys()
        name = next((evidence[signal] for signal in Signal if signal in backing), None)
        return Verdict(
            meaning,
            confidence(meaning, signals, rest),
            name or f"{self._language}.{'mixed' if signals else 'nothing_matched'}",
            matched,
            bars_yes(signals),
        )


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
        if group:
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
