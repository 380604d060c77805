"""Turns words into symbols: one character per set of word classes.

Rules are written over classes of words, not over words. Each distinct set of classes gets one
private-use character, so a reply becomes a short string and a rule becomes a regular expression
on it: word boundaries are exact and matching is fast.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

from intent.errors import RuleDataError
from intent.normalise import (
    colloquial,
    is_plain,
    normalise,
    without_doubles,
    without_ending,
)

CONSUMED = "\ue000"
"""Stands where a rule has already taken its words."""

OTHER = "\ue001"
"""A word no rule knows."""

_FIRST_SYMBOL = 0xE002
_LAST_SYMBOL = 0xF8FF
_WORDS_REMEMBERED = 8192
_SHORTEST_PART = 3
_LONGEST_SPLIT = 16

FILLER = "FILLER"
"""Words of this class alone are dropped before matching."""

GLUED = "GLUED"
"""Short words of this class are found where a transcriber wrote them and another as one."""


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
            for entry in entries if name != GLUED else ():
                _store(entry, name, exact, shapes)
        for word, classes in exact.items():
            for (head, tail), more in shapes.items():
                # Only what a rule names as "word*" adds to a word listed in full.
                if not tail and word.startswith(head):
                    classes.update(more)
        self._symbols = _number(frozenset(known) for known in (*exact.values(), *shapes.values()))
        self._of_class: dict[str, str] = {}
        for known, symbol in self._symbols.items():
            for name in known:
                self._of_class[name] = self._of_class.get(name, "") + symbol
        self._exact = {word: self._symbol(classes) for word, classes in exact.items()}
        self._spoken: dict[str, str] = {}
        for word, symbol in self._exact.items():
            self._spoken.setdefault(colloquial(word), symbol)
        self._shapes: dict[str, list[tuple[str, str]]] = {}
        for (head, tail), classes in sorted(shapes.items(), key=lambda item: -len(item[0][1])):
            self._shapes.setdefault(head, []).append((tail, self._symbol(classes)))
        glued = frozenset(normalise(word) for word in words.get(GLUED, ()))
        self._parts = {w for w in self._exact if len(w) >= _SHORTEST_PART or w in glued}
        self._longest_head = max(map(len, self._shapes), default=0)
        self.symbol_of: Callable[[str], str] = lru_cache(_WORDS_REMEMBERED)(self._look_up)
        self.split: Callable[[str], tuple[str, ...]] = lru_cache(_WORDS_REMEMBERED)(self._split)

    def symbols_of_class(self, name: str) -> str:
        """Returns all symbols whose words belong to the class.

        Raises:
            RuleDataError: no word belongs to it.
        """
        symbols = self._of_class.get(name, "")
        if not symbols:
            if name.isupper():
                raise RuleDataError(f"no words are listed for class {name}")
            raise RuleDataError(f"{name!r} is neither a word nor a class (in capitals)")
        return symbols

    def symbols_of_any(self, names: Iterable[str]) -> frozenset[str]:
        """Returns the symbols of the words of those classes that have any."""
        return frozenset(symbol for name in names for symbol in self._of_class.get(name, ""))

    def fillers(self) -> str:
        """Returns the symbols of words that are nothing but fillers."""
        return self._symbols.get(frozenset((FILLER,)), "")

    def _symbol(self, classes: set[str]) -> str:
        return self._symbols[frozenset(classes)]

    def _look_up(self, word: str) -> str:
        plain = without_doubles(word)
        found = self._find(word)
        if found is OTHER and plain != word:
            found = self._find(plain)
        if found is OTHER:
            found = self._spoken.get(colloquial(plain), OTHER)
        if found is OTHER:
            found = self._spoken.get(colloquial(without_ending(plain)), OTHER)
        return found

    def _split(self, word: str) -> tuple[str, ...]:
        """Returns the two words that a transcriber wrote as one, or the word itself.

        Both must be listed in full, and a short one as GLUED: "نهار" is no "نه".
        """
        if len(word) <= _LONGEST_SPLIT and self._look_up(word) is OTHER:
            for end in range(len(word) - 1, 0, -1):
                head, tail = word[:end], word[end:]
                if head in self._parts and tail in self._parts:
                    return head, tail
        return (word,)

    def _find(self, word: str) -> str:
        symbol = self._exact.get(word)
        if symbol is not None:
            return symbol
        for length in range(min(len(word), self._longest_head), 0, -1):
            for tail, symbol in self._shapes.get(word[:length], ()):
                if word[length:].endswith(tail):
                    return symbol
        return OTHER


def is_word(entry: str) -> bool:
    """Tells whether a vocabulary entry is one word, perhaps with one star in it."""
    head, _, tail = entry.partition("*")
    return is_plain(head) and (not tail or is_plain(tail))


def _store(
    entry: str, name: str, exact: dict[str, set[str]], shapes: dict[tuple[str, str], set[str]]
) -> None:
    if not is_word(entry):
        raise RuleDataError(f"class {name}: {entry!r} is not one word")
    head, _, tail = (normalise(part) for part in entry.partition("*"))
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
