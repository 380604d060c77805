"""A grammar of whole sentences: templates are expanded, then folded into a small automaton.

The automaton shares beginnings and ends (a minimal acyclic graph), because the recogniser's time
grows with the arcs that are open at once: the same sentences as plain alternatives take 20 times
as long.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources

Sentence = tuple[str, ...]
Arc = tuple[int, int, float] | tuple[int, int, float, str]

_TOKEN = re.compile(r"~?[a-z']+|[()\[\]|]")
_RARE = "~"
_RARE_PROBABILITY = 0.01
_CLOSES = {"(": ")", "[": "]"}


@dataclass(frozen=True)
class Automaton:
    """Accepts exactly the sentences it was made from.

    Attributes:
        start: number of the first state.
        final: number of the last state.
        arcs: (from, to, probability[, word]); without a word the arc is silent.
    """

    start: int
    final: int
    arcs: tuple[Arc, ...]


def load_sentences(language: str) -> frozenset[Sentence]:
    """Give every sentence of the grammar that ships for a language; rare words are marked."""
    return load_consents(language) | _load("replies", language)


def load_consents(language: str) -> frozenset[Sentence]:
    """Give the sentences of the grammar that put a caller through to an operator."""
    return _load("consents", language)


def _load(kind: str, language: str) -> frozenset[Sentence]:
    file = resources.files("speech.stt") / "data" / f"{kind}_{language}.txt"
    return parse_templates(file.read_text(encoding="utf-8"))


def parse_templates(text: str) -> frozenset[Sentence]:
    """Expand templates, one a line.

    Raises:
        ValueError: a bracket is missing or a character is unknown; names the line.
    """
    sentences: set[Sentence] = set()
    for line in text.splitlines():
        template = line.partition("#")[0].strip()
        if template:
            sentences.update(_expand_line(template))
    sentences.discard(())
    return frozenset(sentences)


def _expand_line(template: str) -> list[Sentence]:
    tokens = _TOKEN.findall(template)
    if "".join(tokens) != "".join(template.split()):
        raise ValueError(f"the template has an unknown character: {template}")
    sentences, rest = _alternatives(tokens, None, template)
    if rest:
        raise ValueError(f"the template closes a bracket it never opened: {template}")
    return sentences


def _alternatives(
    tokens: list[str], closes: str | None, template: str
) -> tuple[list[Sentence], list[str]]:
    """Expand up to the closing bracket; give the alternatives and the tokens after it."""
    done: list[Sentence] = []
    current: list[Sentence] = [()]
    while tokens:
        token, *tokens = tokens
        if token == closes:
            return done + current, tokens
        if token in _CLOSES:
            inner, tokens = _alternatives(tokens, _CLOSES[token], template)
            choices = [*inner, ()] if token == "[" else inner  # noqa: S105 - a bracket
            current = [head + tail for head in current for tail in choices]
        elif token == "|":  # noqa: S105 - a bar
            done, current = done + current, [()]
        elif token in _CLOSES.values():
            raise ValueError(f"the template closes a bracket it never opened: {template}")
        else:
            current = [(*head, token) for head in current]
    if closes:
        raise ValueError(f"the template never closes a bracket: {template}")
    return done + current, []


def plain(word: str) -> str:
    """Give a word without its mark of rarity."""
    return word.removeprefix(_RARE)


def _probability(word: str) -> float:
    return _RARE_PROBABILITY if word.startswith(_RARE) else 1.0


def build_automaton(sentences: Iterable[Sentence]) -> Automaton:
    """Fold sentences into the smallest automaton that accepts just them."""
    arcs: list[Arc] = []
    final = 0
    states: dict[frozenset[Sentence], int] = {frozenset({()}): final}

    def state_of(endings: frozenset[Sentence]) -> int:
        """Number the state from which exactly these endings are accepted."""
        if endings in states:
            return states[endings]
        number = states[endings] = len(states)
        by_word: dict[str, set[Sentence]] = {}
        for ending in endings:
            if ending:
                by_word.setdefault(ending[0], set()).add(ending[1:])
            else:
                arcs.append((number, final, 1.0))
        for word, rests in sorted(by_word.items()):
            arcs.append((number, state_of(frozenset(rests)), _probability(word), plain(word)))
        return number

    start = state_of(frozenset(sentences))
    return Automaton(start, final, tuple(arcs))
