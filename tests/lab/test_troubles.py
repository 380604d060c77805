"""When the troublesome people speak and leave, counted on the prompts made for them."""

from __future__ import annotations

from pathlib import Path

from lab import behaviours, scenarios, troubles, voices
from lab.behaviours import PromptLengths, Talk

PHRASE_MS = {behaviours.YES: 800, behaviours.NO: 900, behaviours.QUESTION: 1600}
PEOPLE = troubles.customers(PHRASE_MS)
HELLO_MS, YES_MS = troubles.PROMPT_MS["hello"], troubles.PROMPT_MS["yes"]
LISTENED_TO_UNTIL_MS = HELLO_MS + 2500


def talk(ending: str) -> Talk:
    """Give the behaviour of someone who answers."""
    behaviour = PEOPLE[ending]
    assert isinstance(behaviour, Talk)
    return behaviour


def test_no_trouble_takes_the_place_of_a_documented_behaviour() -> None:
    """The endings of the ordinary people stay what they are."""
    assert not PEOPLE.keys() & behaviours.customers(PromptLengths(), PHRASE_MS).keys()


def test_who_says_something_is_listened_to() -> None:
    """First words come after hello and within the silence the engine tolerates."""
    for ending, behaviour in PEOPLE.items():
        if isinstance(behaviour, Talk) and behaviour.utterances:
            first_ms = talk(ending).utterances[0].start_ms
            assert HELLO_MS < first_ms < LISTENED_TO_UNTIL_MS


def test_each_leaves_in_his_own_step_of_the_call() -> None:
    """Those who leave do so one after the other, in the order of the conversation."""
    said_ms = talk(troubles.LEAVES_WHILE_UNDERSTOOD).utterances[0].start_ms + 800 + 450
    leaves_ms = [
        talk(ending).leave_ms
        for ending in (
            troubles.LEAVES_DURING_HELLO,
            troubles.LEAVES_WHILE_LISTENED_TO,
            troubles.LEAVES_WHILE_UNDERSTOOD,
            troubles.LEAVES_DURING_YES,
            troubles.LEAVES_WHILE_IT_RINGS,
        )
    ]
    understood_ms = said_ms + troubles.UNDERSTOOD_IN_MS
    starts_ms = [0, HELLO_MS, said_ms, understood_ms, understood_ms + YES_MS]
    ends_ms = [HELLO_MS, LISTENED_TO_UNTIL_MS, understood_ms, understood_ms + YES_MS, 60_000]
    for leave_ms, start_ms, end_ms in zip(leaves_ms, starts_ms, ends_ms, strict=True):
        assert start_ms < leave_ms < end_ms


def test_operators_are_chosen_by_the_customer_who_waits() -> None:
    """Each ending with an operator of its own has a customer who waits for him."""
    for ending in troubles.operators():
        assert talk(ending).utterances
    choices = scenarios.operator_choices(
        Path("a.alaw"), {end: (behaviour, None) for end, behaviour in troubles.operators().items()}
    )
    assert [choice.name for choice in choices][3:-1] == [f"for_{e}" for e in troubles.operators()]


def test_keys_are_heard_as_two_tones() -> None:
    """A key lasts 200 ms, is as loud as speech, and is followed by silence."""
    tone = voices.tones("5")
    assert len(tone) == 300 * voices.SAMPLES_PER_MS
    assert max(tone) > 5000
    assert not any(tone[200 * voices.SAMPLES_PER_MS :])


def test_audio_that_stops_is_shorter_than_the_call() -> None:
    """Whoever sends nothing gets no track to play; who crashes, one that ends in mid-call."""
    silent = scenarios.Choice("s", ".", talk(troubles.SENDS_NO_AUDIO), Path("a.alaw"))
    crash = scenarios.Choice("c", ".", talk(troubles.FALLS_SILENT_IN_A_WORD), Path("b.alaw"))
    assert "rtp_stream" not in scenarios.called_side("x", [silent], 500)
    assert "rtp_stream" in scenarios.called_side("x", [crash], 500)


def test_keys_as_events_are_replayed() -> None:
    """Such a phone sends a capture, from the port its answer names."""
    sends, presses = talk(troubles.SENDS_KEYS), talk(troubles.PRESSES_KEYS)
    assert len(sends.events) == 1
    assert presses.events == ()
    choice = scenarios.Choice("s", ".", sends, Path("a.pcap"))
    rendered = scenarios.called_side("x", [choice], 500)
    assert 'play_pcap_audio="a.pcap"' in rendered
    assert "m=audio [media_port] " in rendered
    assert "rtp_stream" not in rendered
