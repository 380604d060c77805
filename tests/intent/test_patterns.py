from __future__ import annotations

import pytest

from intent.errors import RuleDataError
from intent.lexicon import OTHER, Lexicon
from intent.normalise import (
    colloquial,
    language_of,
    normalise,
    without_doubles,
    without_ending,
)
from intent.patterns import compile_patterns
from intent.rule_book import RuleBook

WORDS = {"A": ["apple", "ant*"], "B": ["bee", "apple"], "N*G": ["x*y"], "FILLER": ["um"]}


def _lexicon() -> Lexicon:
    return Lexicon({name: words for name, words in WORDS.items() if name.isalpha()})


def _matches(pattern: str, text: str) -> bool:
    lexicon = _lexicon()
    expression, needs = compile_patterns([pattern], lexicon)
    symbols = "".join(map(lexicon.symbol_of, text.split()))
    found = expression.search(symbols) is not None
    assert not (found and needs.isdisjoint(symbols)), "the shortcut would have hidden a match"
    return found


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("A", "apple", True),
        ("A", "antelope", True),
        ("A", "an", False),
        ("A B", "ant bee", True),
        ("A B", "ant and bee", False),
        ("A ..1 B", "ant and bee", True),
        ("A ..1 B", "ant and a bee", False),
        ("A .. B", "ant 1 2 3 4 5 6 7 8 bee", True),
        ("A .. B", "ant 1 2 3 4 5 6 7 8 9 bee", False),
        ("^ A $", "ant", True),
        ("^ A $", "an ant", False),
        ("A? bee", "bee", True),
        ("<!A bee", "ant bee", False),
        ("<!A bee", "the bee", True),
        ("A !B", "ant bee", False),
        ("A !B", "ant the", True),
        ("A|B", "bee", True),
    ],
)
def test_each_element_of_a_pattern(pattern: str, text: str, *, matches: bool) -> None:
    """Classes, prefixes, gaps with their limits, anchors, options and guards mean what they say."""
    try:
        assert _matches(pattern, text) is matches
    except RuleDataError:
        # "bee" as a literal needs a class of its own, which RuleBook makes.
        book = {"words": {k: " ".join(v) for k, v in WORDS.items() if k.isalpha()}}
        rules = {"t": {"signal": "yes", "match": pattern}}
        verdict = RuleBook("en", {**book, "rules": rules}).classify(text)
        assert (verdict.evidence == "en.t") is matches


def test_words_can_have_several_classes_and_shapes() -> None:
    """A word belongs to all its classes; an unknown one is OTHER; doubled letters are forgiven."""
    lexicon = Lexicon({"A": ["yes", "un*ed"], "B": ["yes"]})
    assert lexicon.symbol_of("yes") in lexicon.symbols_of_class("A")
    assert lexicon.symbol_of("yes") in lexicon.symbols_of_class("B")
    assert lexicon.symbol_of("yess") == lexicon.symbol_of("yes")
    assert lexicon.symbol_of("untied") in lexicon.symbols_of_class("A")
    assert lexicon.symbol_of("untie") == OTHER


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        (
            {"r": {"signal": "yes", "match": "NOSUCH"}},
            "rule en.r: pattern 'NOSUCH': no words are listed",
        ),
        ({"r": {"signal": "maybe", "match": "A"}}, "rule en.r: 'maybe' is not a valid Signal"),
        ({"r": {"signal": "yes", "match": "A?"}}, "rule en.r: pattern 'A.': it needs no word"),
        ({"r": {"signal": "yes", "match": "A\nA .. .. .. .. A"}}, "'A .. .. .. .. A': its gaps"),
        ({"r": {"signal": "yes", "match": "A|$"}}, "rule en.r: pattern 'A|.': '.' is neither"),
    ],
)
def test_broken_rules_are_named(rules: dict[str, dict[str, str]], message: str) -> None:
    """A rule that cannot be compiled is refused with its name and the pattern."""
    with pytest.raises(RuleDataError, match=message):
        RuleBook("en", {"words": {"A": "apple"}, "rules": rules})


def test_two_words_in_a_vocabulary_entry_are_refused() -> None:
    """The vocabulary holds single words; anything else is an error at start."""
    with pytest.raises(RuleDataError, match="not one word"):
        Lexicon({"A": ["two words"]})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("  Yes,\tPlease!! ", "yes please"),
        ("كجا آوردي", "کجا اوردی"),
        ("نمی خوام", "نمیخوام"),
        ("نمی‌خوام", "نمیخوام"),
        ("بَلِه", "بله"),
        ("شمارهٔ من ۰۹۱۲ ٣٤", "شماره من 0912 34"),
        ("soooo", "soo"),
        ("don’t", "don't"),
        ("مسئول", "مسیول"),
        ("مؤسسة علي", "موسسه علی"),
        ("أره إره", "اره اره"),
        ("بلههههه نهههه", "بلهه نهه"),
        ("کـــلاس", "کلاس"),
        ("\u202eبله\u200f", "بله"),
        ("ﺑﻠﻪ", "بله"),
        ("…؟!", ""),
    ],
)
def test_normalising(text: str, words: str) -> None:
    """Letters, digits, marks, joiners, verb prefixes, punctuation and blanks are made equal."""
    assert normalise(text) == words


@pytest.mark.parametrize(
    ("one", "other"),
    [("میتوانید", "میتونین"), ("بدانم", "بدونم"), ("خواهم", "خوام"), ("کلاستان", "کلاستون")],
)
def test_written_and_spoken_persian_are_one(one: str, other: str) -> None:
    """Formal and colloquial shapes of a verb or a noun have one form."""
    assert colloquial(one) == colloquial(other)


@pytest.mark.parametrize(
    ("word", "shorter"),
    [
        ("مناسبه", "مناسب"),
        ("موبایلمو", "موبایل"),
        ("کلاسم", "کلاس"),
        ("نهم", "نهم"),
        ("نهار", "نهار"),
        ("these", "these"),
    ],
)
def test_endings_come_off_long_persian_words_only(word: str, shorter: str) -> None:
    """Endings for "is", "am" and "my" come off; short words and other scripts stay."""
    assert without_ending(word) == shorter


def test_words_written_as_one_are_taken_apart() -> None:
    """Two listed words glued together are both found; short ones only where listed as such."""
    lexicon = Lexicon({"A": ["apple", "to", "bee"], "B": ["no"], "GLUED": ["to"]})
    assert lexicon.split("beeapple") == ("bee", "apple")
    assert lexicon.split("appleto") == ("apple", "to")
    assert lexicon.split("noapple") == ("noapple",)
    assert lexicon.split("bee") == ("bee",)
    assert lexicon.split("beetle") == ("beetle",)


@pytest.mark.parametrize(
    ("words", "language"),
    [("بله", "fa"), ("yes", "en"), ("بله ok", "en"), ("123", "en"), ("", "en")],
)
def test_script_tells_the_language(words: str, language: str) -> None:
    """A reply wholly in one script is read in its language; otherwise the call's language holds."""
    assert language_of(words, "en") == language


def test_doubled_letters_are_written_once() -> None:
    """Runs of a letter shrink to one."""
    assert without_doubles("yess") == "yes"
    assert without_doubles("book keeper") == "bok keper"
