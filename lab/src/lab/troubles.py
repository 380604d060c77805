"""People, operators and networks that make trouble, by the last two digits of the number.

Their timing fits prompts of the lengths below, made for short calls; see `behaviours` for the rest.
"""

from __future__ import annotations

from collections.abc import Mapping

from lab.behaviours import (
    OPERATOR_PHRASE,
    QUESTION,
    YES,
    Behaviour,
    Keys,
    Refuse,
    RingForever,
    Talk,
    Utterance,
)

PROMPT_MS = {"hello": 1000, "number": 1000, "yes": 3000, "onhold": 1000, "goodby": 500}
"""How long the short prompts are."""

UNDERSTOOD_IN_MS = 1000
"""How long it takes here to understand a reply, at least."""

_FIRST_WORD_MS = PROMPT_MS["hello"] + 800
_REPEATED_EVERY_MS = 3000
_STAYS_MS = 60_000
_END_OF_SPEECH_MS = 450

INSISTENT = "21"
"""Says yes again and again, so that whoever asks hears it."""
RINGS_LONG = "20"
"""Answers after a while, and then insists."""
LEAVES_AT_ONCE = "22"
LEAVES_DURING_HELLO = "23"
LEAVES_WHILE_LISTENED_TO = "24"
LEAVES_WHILE_UNDERSTOOD = "25"
LEAVES_DURING_YES = "26"
LEAVES_WHILE_IT_RINGS = "27"

OPERATOR_BUSY = "31"
OPERATOR_SILENT = "32"
OPERATOR_DECLINES = "33"
OPERATOR_CRASHES = "34"
LEAVES_THE_OPERATOR = "36"

UNAVAILABLE = "41"
SERVER_ERROR = "42"
EARLY_MEDIA_THEN_BUSY = "43"
SENDS_NO_AUDIO = "44"
HEARS_NOTHING = "45"
FALLS_SILENT_IN_A_WORD = "46"
PRESSES_KEYS = "47"
TALKS_ON = "48"
REINVITES = "49"
SENDS_KEYS = "50"


def customers(phrase_ms: Mapping[str, int]) -> dict[str, Behaviour]:
    """Give the customers by ending; `phrase_ms` is the longest rendering of each phrase."""
    insists = tuple(
        Utterance(YES, start_ms) for start_ms in range(_FIRST_WORD_MS, 50_000, _REPEATED_EVERY_MS)
    )
    says_yes = (Utterance(YES, _FIRST_WORD_MS),)
    heard_ms = _FIRST_WORD_MS + phrase_ms[YES] + _END_OF_SPEECH_MS
    understood_ms = heard_ms + UNDERSTOOD_IN_MS
    question_ms = phrase_ms[QUESTION]
    return {
        **dict.fromkeys((INSISTENT, *operators()), Talk(insists)),
        RINGS_LONG: Talk(insists, rings_ms=8000),
        LEAVES_AT_ONCE: Talk((), leave_ms=20),
        LEAVES_DURING_HELLO: Talk((), leave_ms=PROMPT_MS["hello"] // 2),
        LEAVES_WHILE_LISTENED_TO: Talk((), leave_ms=_FIRST_WORD_MS),
        LEAVES_WHILE_UNDERSTOOD: Talk(says_yes, leave_ms=heard_ms + UNDERSTOOD_IN_MS // 2),
        LEAVES_DURING_YES: Talk(says_yes, leave_ms=understood_ms + PROMPT_MS["yes"] // 2),
        LEAVES_WHILE_IT_RINGS: Talk(says_yes, leave_ms=understood_ms + PROMPT_MS["yes"] + 3000),
        LEAVES_THE_OPERATOR: Talk(insists, leave_ms=understood_ms + PROMPT_MS["yes"] + 6000),
        UNAVAILABLE: Refuse(480, "Temporarily Unavailable"),
        SERVER_ERROR: Refuse(500, "Server Internal Error"),
        EARLY_MEDIA_THEN_BUSY: Refuse(486, "Busy Here", early_media=True),
        SENDS_NO_AUDIO: Talk((), sends_ms=0),
        HEARS_NOTHING: Talk(insists, deaf=True),
        FALLS_SILENT_IN_A_WORD: Talk(
            (Utterance(QUESTION, _FIRST_WORD_MS),), sends_ms=_FIRST_WORD_MS + question_ms // 2
        ),
        PRESSES_KEYS: Talk((Keys("1", _FIRST_WORD_MS),)),
        SENDS_KEYS: Talk((Keys("12", _FIRST_WORD_MS, as_events=True),)),
        TALKS_ON: Talk(
            tuple(
                Utterance(QUESTION, _FIRST_WORD_MS + n * question_ms)
                for n in range(12_000 // question_ms)
            )
        ),
        REINVITES: Talk(insists, reinvite_ms=_FIRST_WORD_MS),
    }


def operators() -> dict[str, Behaviour]:
    """Give what the operators do, by the ending of the customer who waits for them."""
    greets = (Utterance(OPERATOR_PHRASE, 300),)
    return {
        LEAVES_WHILE_IT_RINGS: RingForever(),
        OPERATOR_BUSY: Refuse(486, "Busy Here"),
        OPERATOR_SILENT: RingForever(),
        OPERATOR_DECLINES: Refuse(603, "Decline"),
        OPERATOR_CRASHES: Talk(greets, leave_ms=_STAYS_MS, sends_ms=1500),
        LEAVES_THE_OPERATOR: Talk(greets, leave_ms=_STAYS_MS),
    }
