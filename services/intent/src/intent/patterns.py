r"""The small language in which rules are written.

A pattern is a line of elements separated by blanks, each about one word of the reply:

    NAME            a word of the class NAME (upper case)
    word            that very word; word* any word that begins so
    A|word|B        any of these
    A?              perhaps one such word
    ..  ..3         up to 8 (up to 3) words of any kind, as few as possible
    !A  <!A         the next (the previous) word is not an A; takes no word itself
    ^  $            beginning and end of the reply

Gaps do not cross words an earlier rule has taken. They are bounded, and so is what the gaps of one
pattern may come to together, so the time a pattern takes grows only with the length of the reply.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from intent.errors import RuleDataError
from intent.lexicon import CONSUMED, Lexicon

_GAP_WORDS = 8
_MAX_WAYS = 1000  # in which the gaps and options of one pattern can be filled
_GAP = re.compile(r"\.\.(\d?)")


def names_in(patterns: Iterable[str]) -> set[str]:
    """Returns every class name and word the patterns mention."""
    return {
        name
        for pattern in patterns
        for element in pattern.split()
        if element not in ("^", "$") and not _GAP.fullmatch(element)
        for name in _strip(element).split("|")
    }


def is_class(name: str) -> bool:
    """Tells a class from a literal word."""
    return name.isascii() and name.isupper()


def compile_patterns(
    patterns: Iterable[str], lexicon: Lexicon, *, avoid: Iterable[str] = ()
) -> tuple[re.Pattern[str], frozenset[str]]:
    """Compiles alternatives into one expression over symbols.

    Gaps do not cross words of the classes in `avoid` (a request does not reach over a negation).

    Returns it with the set of symbols of which a reply must have at least one to match.

    Raises:
        RuleDataError: an element names no word, no word must be there at all, or the gaps are too
            many; names the pattern.
    """
    between = CONSUMED + "".join(lexicon.symbols_of_class(name) for name in avoid)
    sources: list[str] = []
    needed: set[str] = set()
    for pattern in patterns:
        try:
            elements = [_compile_element(element, lexicon, between) for element in pattern.split()]
            mandatory = _mandatory(pattern, elements)
        except RuleDataError as error:
            raise RuleDataError(f"pattern {pattern.strip()!r}: {error}") from error
        sources.append("".join(source for source, _ in elements))
        rarest: str = min(mandatory, key=len)
        needed.update(rarest)
    return re.compile("|".join(sources)), frozenset(needed)


def _mandatory(pattern: str, elements: Iterable[tuple[str, str]]) -> list[str]:
    """Returns the symbols of each word the pattern cannot do without."""
    mandatory = [symbols for _, symbols in elements if symbols]
    if not mandatory:
        raise RuleDataError("it needs no word at all")
    ways = 1
    for element in pattern.split():
        gap = _GAP.fullmatch(element)
        ways *= int(gap.group(1) or _GAP_WORDS) + 1 if gap else 2 if element.endswith("?") else 1
    if ways > _MAX_WAYS:
        raise RuleDataError("its gaps are too many or too wide: write ..1 to ..3 instead of ..")
    return mandatory


def _strip(element: str) -> str:
    return element.removeprefix("<").removeprefix("!").removesuffix("?")


def _compile_element(element: str, lexicon: Lexicon, between: str) -> tuple[str, str]:
    """Returns the expression of one element and the symbols it cannot do without."""
    if element in ("^", "$"):
        return element, ""
    gap = _GAP.fullmatch(element)
    if gap:
        return f"[^{between}]{{0,{gap.group(1) or _GAP_WORDS}}}?", ""
    symbols = "".join(
        sorted(
            {sym for name in _strip(element).split("|") for sym in lexicon.symbols_of_class(name)}
        )
    )
    if element.startswith("<!"):
        return f"(?<![{symbols}])", ""
    if element.startswith("!"):
        return f"(?![{symbols}])", ""
    if element.endswith("?"):
        return f"[{symbols}]?", ""
    return f"[{symbols}]", symbols
