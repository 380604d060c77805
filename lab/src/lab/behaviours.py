"""How the simulated people behave, by the number that is dialled.

A customer's behaviour is chosen by the last two digits of the number, an operator's by the
extension, so that a list of contacts says what must come out of it.
"""

from __future__ import annotations

from dataclasses import dataclass

YES = "yes please"
NO = "no thank you"
QUESTION = "where did you get my number"

PHRASES = (YES, NO, QUESTION)

_PAUSE_AFTER_HELLO_MS = 1200
"""A person's pause before the answer; the engine tolerates at least 2500 ms."""
_REPLY_ALLOWANCE_MS = 3000
"""From the end of the question to the second answer, without the prompt between them.

It is made of the engine's time to understand the question and of the pause before the answer: an
engine that takes between 0.5 s and 3 s hears the answer within 2.5 s of listening.
"""
_OPERATOR_RINGS_MS = 8000
"""From the end of the `yes` prompt until an impatient customer leaves the ringing operator."""
_STAY_MS = 60_000
"""A caller whom nobody hangs up on leaves by himself after this long."""
_LEAVE_DURING_HELLO_MS = 1000


@dataclass(frozen=True)
class PromptLengths:
    """How long the engine's prompts are; the simulated people wait for them, blindly."""

    hello_ms: int = 4300
    number_ms: int = 6000
    yes_ms: int = 4000


@dataclass(frozen=True)
class Utterance:
    """A phrase, spoken once."""

    phrase: str
    start_ms: int
    """Counted from the answer."""


@dataclass(frozen=True)
class Keys:
    """Keys pressed, heard as their tones in the audio, or told in packets of their own."""

    digits: str
    start_ms: int
    as_events: bool = False
    """Told as telephone-events (RFC 4733)."""


@dataclass(frozen=True)
class Talk:
    """Answers, says its phrases, and leaves at `leave_ms` unless hung up on before."""

    utterances: tuple[Utterance | Keys, ...]
    leave_ms: int = _STAY_MS
    rings_ms: int | None = None
    """Until the answer; None = as long as everybody's phone rings."""
    sends_ms: int | None = None
    """From then on no audio is sent any more, as from a phone that crashed; None = to the end."""
    deaf: bool = False
    """Says in its answer that it only sends: it hears nothing."""
    reinvite_ms: int | None = None
    """Asks then, in mid-call, for the same audio again (re-INVITE); None = never."""

    @property
    def events(self) -> tuple[Keys, ...]:
        """The keys that are told in packets of their own."""
        keys = (said for said in self.utterances if isinstance(said, Keys))
        return tuple(key for key in keys if key.as_events)


@dataclass(frozen=True)
class Refuse:
    """Never answers: ends the call with a SIP status."""

    status: int
    reason: str
    early_media: bool = False
    """Promises audio first (183), as an announcement of the network does."""


@dataclass(frozen=True)
class RingForever:
    """Rings until the caller gives up."""


Behaviour = Talk | Refuse | RingForever

ORDINARY = "01"
"""The ending that stands for every number whose own ending has no behaviour."""


def customers(prompts: PromptLengths, phrase_ms: dict[str, int]) -> dict[str, Behaviour]:
    """Give each behaviour by the last two digits of the customer's number.

    `phrase_ms` is the length of the longest rendering of each phrase.
    """
    first_ms = prompts.hello_ms + _PAUSE_AFTER_HELLO_MS
    second_ms = first_ms + phrase_ms[QUESTION] + prompts.number_ms + _REPLY_ALLOWANCE_MS
    says_yes = Utterance(YES, first_ms)
    asks = Utterance(QUESTION, first_ms)
    impatient_ms = first_ms + phrase_ms[YES] + prompts.yes_ms + _OPERATOR_RINGS_MS
    return {
        ORDINARY: Talk((says_yes,)),
        "02": Talk((Utterance(NO, first_ms),)),
        "03": Talk((asks, Utterance(YES, second_ms))),
        "04": Talk((asks, Utterance(NO, second_ms))),
        "05": Talk(()),
        "06": Talk((), leave_ms=_LEAVE_DURING_HELLO_MS),
        "07": Talk((says_yes,), leave_ms=impatient_ms),
        "08": Refuse(486, "Busy Here"),
        "09": RingForever(),
        "10": Refuse(603, "Decline"),
        "11": Refuse(404, "Not Found"),
        "12": Refuse(503, "Service Unavailable"),
    }


VOICED = ("01", "02", "03", "04", "07")
"""The endings that several people speak for; the others need one voice, or none."""

IMPATIENT = "07"
"""The customers who leave while the operator rings: for them no operator ever answers."""

OPERATOR_BUSY = "201"
OPERATOR_ABSENT = "202"
OPERATOR_PHRASE = "hello, how may I help you"
OPERATOR_RING_MS = 1000
OPERATOR_TALK = Talk((Utterance(OPERATOR_PHRASE, 300),), leave_ms=4000)
CUSTOMER_RING_MS = 500

INBOUND_CALLERS = {
    "yes": ORDINARY,
    "no": "02",
    "question-yes": "03",
    "question-no": "04",
    "silent": "05",
    "leaves": "06",
    "impatient": "07",
}
"""What an inbound caller can do, as the customer ending that does the same."""
