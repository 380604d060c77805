"""From templates to sentences to an automaton."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intent.meaning import Meaning
from intent.rules import classify
from speech.stt.grammar import (
    Automaton,
    Sentence,
    build_automaton,
    load_consents,
    load_sentences,
    parse_templates,
    plain,
)


def _accepted(automaton: Automaton) -> set[Sentence]:
    """Walk every path of an automaton."""
    found: set[Sentence] = set()
    paths: list[tuple[int, Sentence]] = [(automaton.start, ())]
    while paths:
        state, words = paths.pop()
        if state == automaton.final:
            found.add(words)
        paths.extend(
            (arc[1], (*words, arc[3]) if len(arc) == 4 else words)
            for arc in automaton.arcs
            if arc[0] == state
        )
    return found


def test_templates_are_expanded() -> None:
    """Choices, optional parts, nesting and comments give just the sentences they mean."""
    text = "# greetings\n[oh] (hi|good (morning|evening)) # either\n\nbye"
    assert parse_templates(text) == {
        ("hi",), ("oh", "hi"), ("good", "morning"), ("oh", "good", "morning"),
        ("good", "evening"), ("oh", "good", "evening"), ("bye",),
    }  # fmt: skip


@pytest.mark.parametrize("template", ["(yes", "yes)", "[yes", "yes]", "(yes]", "Yes", "yes!"])
def test_a_broken_template_is_named(template: str) -> None:
    """A missing bracket or an unknown character is an error that shows the line."""
    with pytest.raises(ValueError, match="template") as caught:
        parse_templates(template)
    assert template in str(caught.value)


@given(st.sets(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map(tuple), min_size=1))
def test_the_automaton_accepts_just_the_sentences(sentences: set[Sentence]) -> None:
    """Folding loses no sentence and adds none."""
    assert _accepted(build_automaton(sentences)) == sentences


def test_a_rare_word_is_less_likely() -> None:
    """A marked word keeps its sound and gets a small probability."""
    automaton = build_automaton(parse_templates("(no|~nope)"))
    assert sorted(arc[2:] for arc in automaton.arcs) == [(0.01, "nope"), (1.0, "no")]


def test_whatever_puts_through_is_a_consent() -> None:
    """Sentences are held to the measure of consents just where the rules take them for a yes."""
    consents = load_consents("en")
    assert consents == {
        sentence
        for sentence in load_sentences("en")
        if classify(" ".join(map(plain, sentence)), "en").meaning is Meaning.YES
    }


def test_the_grammar_that_ships_is_rich_and_small() -> None:
    """Thousands of sentences fold into hundreds of arcs, or recognition would take seconds."""
    sentences = load_sentences("en")
    spoken = {tuple(map(plain, sentence)) for sentence in sentences}
    assert len(spoken) > 2500
    assert len(build_automaton(sentences).arcs) < 800
    for sentence in (
        "yes please",
        "no thank you",
        "where did you get my number",
        "stop calling me",
    ):
        assert tuple(sentence.split()) in spoken
