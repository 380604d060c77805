"""When the simulated people speak and leave."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab import behaviours
from lab.behaviours import PromptLengths, Refuse, RingForever, Talk

PHRASE_MS = {behaviours.YES: 800, behaviours.NO: 900, behaviours.QUESTION: 1600}
LENGTHS = st.builds(
    PromptLengths,
    hello_ms=st.integers(0, 15_000),
    number_ms=st.integers(0, 15_000),
    yes_ms=st.integers(0, 15_000),
)

TOLERATED_SILENCE_MS = 2500
OPERATOR_TIMEOUT_MS = 30_000


def talk(lengths: PromptLengths, ending: str) -> Talk:
    """Give the behaviour of someone who answers."""
    behaviour = behaviours.customers(lengths, PHRASE_MS)[ending]
    assert isinstance(behaviour, Talk)
    return behaviour


@given(LENGTHS)
def test_nobody_talks_over_hello_or_answers_too_late(lengths: PromptLengths) -> None:
    """The first words come after hello and within the silence the engine tolerates."""
    for ending in ("01", "02", "03", "04", "07"):
        pause_ms = talk(lengths, ending).utterances[0].start_ms - lengths.hello_ms
        assert 0 < pause_ms < TOLERATED_SILENCE_MS


@given(LENGTHS, st.integers(500, 3000))
def test_the_second_answer_meets_an_engine_that_listens(
    lengths: PromptLengths, thinking_ms: int
) -> None:
    """However long the engine thinks (0.5 to 3 s), the answer follows the `number` prompt."""
    for ending in ("03", "04"):
        question, answer = talk(lengths, ending).utterances
        asked_ms = question.start_ms + PHRASE_MS[behaviours.QUESTION]
        listening_ms = asked_ms + thinking_ms + lengths.number_ms
        assert 0 <= answer.start_ms - listening_ms <= TOLERATED_SILENCE_MS


@given(LENGTHS)
def test_the_impatient_leave_while_the_operator_rings(lengths: PromptLengths) -> None:
    """They stay through the `yes` prompt and 5 s more, and leave before the operator times out."""
    impatient = talk(lengths, behaviours.IMPATIENT)
    said_ms = impatient.utterances[0].start_ms + PHRASE_MS[behaviours.YES]
    assert impatient.leave_ms > said_ms + lengths.yes_ms + 5000
    assert impatient.leave_ms < said_ms + lengths.yes_ms + OPERATOR_TIMEOUT_MS


def test_refusals_are_the_statuses_of_the_list() -> None:
    """Busy, declined, unknown and congested numbers answer with their SIP status."""
    people = behaviours.customers(PromptLengths(), PHRASE_MS)
    refusals = {end: b.status for end, b in people.items() if isinstance(b, Refuse)}
    assert refusals == {"08": 486, "10": 603, "11": 404, "12": 503}
    assert isinstance(people["09"], RingForever)


def test_inbound_callers_can_all_talk() -> None:
    """Every behaviour the call command offers is one of a person who speaks or stays."""
    people = behaviours.customers(PromptLengths(), PHRASE_MS)
    assert all(isinstance(people[end], Talk) for end in behaviours.INBOUND_CALLERS.values())
