"""Who is called in the demo, and what must come of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Contact:
    """One simulated customer.

    Attributes:
        number: what is dialled; its last two digits choose the behaviour.
        behaviour: what the person does, in words.
        result: the one result that behaviour calls for.
        intents: what must have been understood, listening by listening.
    """

    number: str
    behaviour: str
    result: str
    intents: tuple[str, ...] = ()


LINES = ("02191001001", "02191001002")
OPERATOR = "200"

CAST = (
    Contact("09120000101", "says yes", "connected_to_operator", ("yes",)),
    Contact("09120000102", "says no", "not_interested", ("no",)),
    Contact(
        "09120000103", "asks first, then yes", "connected_to_operator", ("number_question", "yes")
    ),
    Contact("09120000104", "asks first, then no", "not_interested", ("number_question", "no")),
    Contact("09120000105", "stays silent", "hangup", ("unknown",)),
    Contact("09120000106", "hangs up during hello", "hangup"),
    Contact("09120000107", "says yes, leaves as it rings", "disconnected", ("yes",)),
    Contact("09120000108", "busy", "missed"),
    Contact("09120000109", "never answers", "missed"),
    Contact("09120000110", "declines", "missed"),
    Contact("09120000111", "number does not exist", "failed:invalid_number"),
    Contact("09120000112", "network is full", "failed:congestion"),
)

SETTINGS = {
    "CALL_LANGUAGE": "en",
    "CALL_WINDOW": "00:00-24:00",
    "OUTBOUND_NUMBERS": ",".join(LINES),
    "STATIC_CONTACTS": ",".join(contact.number for contact in CAST),
    "OPERATOR_EXTENSION": OPERATOR,
    "ORIGINATION_TIMEOUT": "12",
    "OPERATOR_TIMEOUT": "20",
    "MAX_CONCURRENT_CALLS": "2",
    "MAX_CALLS_PER_MINUTE": "10",
    "MAX_CALLS_PER_DAY": "200",
}
