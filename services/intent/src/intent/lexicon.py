"""Turns words into symbols: one character per set of word classes.

Rules are written over classes of words, not over words. Each distinct set of classes gets one
private-use character, so a reply becomes a short string and a rule becomes a regular expression
on it: word boundaries are exact and matching is fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from intent.errors import RuleDataError
from intent.normalise import normalise, without_doubles

CONSUMED = "\ue000"
"""Stands where a rule has already taken its words."""

OTHER = "\ue001"
"""A word no rule knows."""

_FIRST_SYMBOL = 0xE002
_LAST_SYMBOL = 0xF8FF
_WORDS_REMEMBERED = 8192

FILLER = "FILLER"
"""Words of this class alone are dropped before matching."""


class Lexicon:
    """The vocabulary of one language.

    A word may hold one `*`, at its end or inside: it then stands for all words that begin and end
    so and that are not listed in full. Of several that fit, the one with most letters before the
    star counts, then the one with most after it.
    """

    def __init__(self, words: Mapping[str, Iterable[str]]) -> None:
        exact: dict[str, set[str]] = {}
        shapes: dict[tuple[str, str], set[str]] = {}
        for name, entries in words.items():
            for entry in entries:
                _store(entry, name, exact, shapes)
        for word, classes in exact.items():
            for (head, tail), more in shapes.items():
                # Only what a rule names as "word*" adds to a word listed in full.
                if not tail and word.startswith(head):
                    classes.update(more)
        self._symbols = _number(frozenset(known) for known in (*exact.values(), *shapes.values()))
        self._exact = {word: self._symbol(classes) for word, classes in exact.items()}
        self._shapes: dict[str, list[tuple[str, str]]] = {}
        for (head, tail), classes in sorted(shapes.items(), key=lambda item: -len(item[0][1])):
            self._shapes.setdefault(head, []).append((tail, self._symbol(classes)))
        self._longest_head = max(map(len, self._shapes), default=0)
        self.symbol_of: Callable[[str], str] = lru_cache(_WORDS_REMEMBERED)(self._look_up)

    def symbols_of_class(self, name: str) -> str:
        """Returns all symbols whose words belong to the class.

        Raises:
            RuleDataError: no word belongs to it.
        """
        symbols = "".join(sym for classes, sym in self._symbols.items() if name in classes)
        if not symbols:
            raise RuleDataError(f"no words are listed for class {name}")
        return symbols

    def fillers(self) -> str:
        """Returns the symbols of words that are nothing but fillers."""
        return self._symbols.get(frozenset((FILLER,)), "")

    def _symbol(self, classes: set[str]) -> str:
        return self._symbols[frozenset(classes)]

    def _look_up(self, word: str) -> str:
        found = self._find(word)
        if found is OTHER:
            shorter = without_doubles(word)
            if shorter != word:
                found = self._find(shorter)
        return found

    def _find(self, word: str) -> str:
        symbol = self._exact.get(word)
        if symbol is not None:
            return symbol
        for length in range(min(len(word), self._longest_head), 0, -1):
            for tail, symbol in self._shapes.get(word[:length], ()):
                if word[length:].endswith(tail):
                    return symbol
        return OTHER


def _store(
    entry: str, name: str, exact: dict[str, set[str]], shapes: dict[tuple[str, str], set[str]]
) -> None:
    head, _, tail = (normalise(part) for part in entry.partition("*"))
    if not head or " " in head + tail:
        raise RuleDataError(f"class {name}: {entry!r} is not one word")
    if "*" in entry:
        shapes.setdefault((head, tail), set()).add(name)
    else:
        exact.setdefault(head, set()).add(name)


def _number(sets: Iterable[frozenset[str]]) -> dict[frozenset[str], str]:
    symbols: dict[frozenset[str], str] = {}
    for classes in sets:
        if classes not in symbols:
            code = _FIRST_SYMBOL + len(symbols)
            if code > _LAST_SYMBOL:
                raise RuleDataError("more word classes than symbols")
            symbols[classes] = chr(code)
    return symbols
