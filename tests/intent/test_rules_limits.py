from __future__ import annotations

import csv
import itertools
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intent.meaning import READ_CHARS, Language, Meaning, excerpt
from intent.rules import classify

DATA = Path(__file__).parent / "data"
LANGUAGES: tuple[Language, ...] = ("fa", "en")


def _rows(name: str) -> list[tuple[Language, str, Meaning]]:
    with (DATA / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return [
            ("fa" if row["language"] == "fa" else "en", row["text"], Meaning(row["intent"]))
            for row in csv.DictReader(file)
        ]


def test_of_a_long_text_the_beginning_and_the_end_are_read() -> None:
    """An opt-out at either end of a megabyte is heard; what stands in the middle is not read."""
    noise = "lorem ipsum " * 40_000
    opt_out = "do not call me again"
    assert classify(f"{opt_out} {noise}", "en").meaning is Meaning.DO_NOT_CALL
    assert classify(f"{noise} {opt_out}", "en").meaning is Meaning.DO_NOT_CALL
    assert classify(f"{noise} {opt_out} {noise}", "en").meaning is Meaning.UNKNOWN


@given(st.text(alphabet="ab نه.", max_size=60), st.integers(1, 3000))
def test_an_excerpt_holds_whole_words(text: str, times: int) -> None:
    """However long the text, little more than the limit is read, and no word is cut in two."""
    long = f"{text} " * times
    read = excerpt(long)
    assert len(read) <= READ_CHARS + 1
    assert set(read.split()) <= set(long.split())


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(max_size=60),
        st.text(alphabet=st.characters(categories=["Cc", "Cf", "Mn", "Zs", "Co"]), max_size=60),
        st.text(alphabet="\u202e\u200f\u200c\u0301\u064b\ufdfa\ufb50ﷻİßنهبلی'nt ", max_size=60),
    ),
    st.integers(1, 20_000),
    st.sampled_from(LANGUAGES),
)
def test_any_text_of_any_length_is_decided(text: str, times: int, language: Language) -> None:
    """Control characters, lone marks, direction marks and a megabyte of anything never raise."""
    assert classify(text * times, language).meaning in Meaning


def _fastest_ms(text: str, language: Language) -> float:
    """Returns the least of several measurements: what the text costs, not what the machine does."""
    best_s = 1.0
    for _ in range(5):
        began_s = time.thread_time()
        classify(text, language)
        best_s = min(best_s, time.thread_time() - began_s)
    return best_s * 1000


@pytest.mark.parametrize(
    "text",
    [
        "نه " * 2000,
        "شماره " * 3000,
        "نه " * 350_000,
        "ن" * 1_000_000,
        "\x00" * 1_000_000,
        "who number gave " * 256,
        "چرا شماره کجا " * 256,
        "call me not " * 340,
        "not " * 1024,
        "n't " * 1024,
        "ااااا " * 600,
        "می " * 1365,
        "a i u " * 680,
        "\ufdfa" * 4096,
        "ن\ufdfb" * 2048,
        "\u0301" * 4096,
        "\u202e" * 4096,
        "İ" * 4096,
    ],
    ids=lambda text: f"{text[:6]!a}-{len(text)}",
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_takes_more_than_5_ms(text: str, language: Language) -> None:
    """Repetition, a megabyte, and characters that stand for phrases cost less than 5 ms by rule."""
    assert _fastest_ms(text, language) < 5


def test_new_words_take_no_more_than_5_ms() -> None:
    """A text of nothing but words never seen before costs less than 5 ms, too."""
    words = ("".join(letters) for letters in itertools.product("بتنمیدرزشسوهلک", repeat=5))
    texts = [" ".join(itertools.islice(words, 680)) for _ in range(7)]
    best_s = 1.0
    for text in texts:
        began_s = time.thread_time()
        classify(text, "fa")
        best_s = min(best_s, time.thread_time() - began_s)
    assert best_s < 0.005


def test_twenty_thousand_replies_per_second() -> None:
    """One core decides at least 20,000 ordinary replies per second."""
    rows = _rows("tuning")
    best = 0.0
    for _ in range(5):
        began_s = time.thread_time()
        for language, text, _ in rows:
            classify(text, language)
        best = max(best, len(rows) / (time.thread_time() - began_s))
    assert best >= 20_000
