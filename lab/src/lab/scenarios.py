"""Renders the simulated phone network: one SIPp scenario for each port it answers on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lab import behaviours, sipp_xml
from lab.behaviours import Behaviour, Refuse, RingForever, Talk

_RING_FOREVER_MS = 600_000
_DIGITS = "0123456789"


@dataclass(frozen=True)
class Choice:
    """A branch of a scenario: the requests that take it, and what happens then."""

    name: str
    pattern: str
    """Matched against the whole INVITE; the first choice that matches is taken."""
    behaviour: Behaviour
    track: Path | None = None
    """What is heard from the answer on; None for those who never answer."""


def customer_choices(
    customers: Mapping[str, Behaviour], tracks: Mapping[str, tuple[Path, ...]]
) -> list[Choice]:
    """Make the customers' branches: by the last two digits, and the voice by the third last.

    The voices are shifted from ending to ending, so that a list of consecutive numbers is spoken
    by different people. Numbers with any other ending behave like the ordinary one.
    """
    choices: list[Choice] = []
    for position, (ending, behaviour) in enumerate(customers.items()):
        if isinstance(behaviour, Talk):
            choices += _voiced(ending, ending, behaviour, tracks[ending], position)
        else:
            choices.append(Choice(ending, _to(f"[0-9]*{ending}"), behaviour))
    ordinary = customers[behaviours.ORDINARY]
    if isinstance(ordinary, Talk):
        choices += _voiced("other", "[0-9]?[0-9]", ordinary, tracks[behaviours.ORDINARY], 0)
    return choices


def _voiced(
    name: str, ending: str, talk: Talk, tracks: tuple[Path, ...], shift: int
) -> list[Choice]:
    """Make one branch for each voice; the last takes what has no third last digit, too."""
    choices = []
    for index, track in enumerate(tracks):
        digits = "".join(d for d in _DIGITS if (int(d) + shift) % len(tracks) == index)
        third_last = "" if index == len(tracks) - 1 else f"[{digits}]"
        pattern = _to(f"[0-9]*{third_last}{ending}")
        choices.append(Choice(f"{name}_{index}", pattern, talk, track))
    return choices


def operator_choices(
    track: Path, for_customers: Mapping[str, tuple[Behaviour, Path | None]] | None = None
) -> list[Choice]:
    """Make the operators' branches: by extension, but first by the customer who is waiting.

    `for_customers` gives behaviour and audio by the last two digits of that customer's number.
    """
    return [
        Choice("busy", _to(behaviours.OPERATOR_BUSY), Refuse(486, "Busy Here")),
        Choice("absent", _to(behaviours.OPERATOR_ABSENT), RingForever()),
        Choice("impatient", _for_customer(behaviours.IMPATIENT), RingForever()),
        *(
            Choice(f"for_{ending}", _for_customer(ending), behaviour, audio)
            for ending, (behaviour, audio) in (for_customers or {}).items()
        ),
        Choice("talks", ".", behaviours.OPERATOR_TALK, track),
    ]


def _for_customer(ending: str) -> str:
    return f"From:[^\r\n]*sip:[0-9]*{ending}@"


def _to(number: str) -> str:
    return f"^INVITE sip:[+]?{number}@"


def called_side(name: str, choices: list[Choice], ring_ms: int) -> str:
    """Render the scenario that answers calls, and the OPTIONS by which Asterisk looks for us."""
    xml = sipp_xml
    remember = [
        xml.find("sip:[^>]*", "peer", header="Contact:"),
        xml.find(".*", "calling", header="From:"),
        xml.find(".*", "called", header="To:"),
        xml.find(" *[0-9]+", "invite_number", header="CSeq:"),
        *(xml.find(choice.pattern, f"is_{choice.name}") for choice in choices),
    ]
    steps = [
        xml.receive("OPTIONS", optional=True, then="options"),
        xml.receive("INVITE", actions="".join(remember)),
        *(xml.branch(choice.name, if_set=f"is_{choice.name}") for choice in choices),
        xml.branch("end"),
    ]
    for choice in choices:
        steps += [xml.label(choice.name), *_perform(choice, ring_ms)]
    return xml.scenario(name, *steps, *_endings())


def _perform(choice: Choice, ring_ms: int) -> list[str]:
    xml = sipp_xml
    match choice.behaviour:
        case Refuse(status, reason, early_media):
            promise = [xml.send(xml.answer("183 Session Progress")), xml.pause(ring_ms)]
            return [
                *(promise if early_media else ()),
                xml.send(xml.response(status, reason), retransmit=True),
                xml.receive("ACK"),
                xml.branch("end"),
            ]
        case RingForever():
            return [
                xml.send(xml.response(180, "Ringing")),
                xml.receive_within("CANCEL", _RING_FOREVER_MS, then="cancelled", otherwise="end"),
            ]
        case Talk():
            return _talk(choice.name, choice.behaviour, choice.track, ring_ms)


def _talk(name: str, talk: Talk, track: Path | None, ring_ms: int) -> list[str]:
    xml = sipp_xml
    answered, again = f"{name}_answered", f"{name}_again"
    rings_ms = ring_ms if talk.rings_ms is None else talk.rings_ms
    steps = [
        xml.send(xml.response(180, "Ringing")),
        xml.receive_within("CANCEL", rings_ms, then="cancelled", otherwise=answered),
        xml.label(answered),
        xml.send(xml.answer(deaf=talk.deaf, replayed=bool(talk.events)), retransmit=True),
        xml.receive("ACK"),
    ]
    if talk.sends_ms != 0:
        steps.append(xml.replay(str(track)) if talk.events else xml.stream(str(track)))
    left_ms = talk.leave_ms
    if talk.reinvite_ms is not None:
        left_ms -= talk.reinvite_ms
        steps += [
            xml.receive_within("BYE", talk.reinvite_ms, then="hung_up", otherwise=again),
            xml.label(again),
            xml.send(xml.reinvite(), retransmit=True),
            xml.receive_status(100, optional=True),
            xml.receive_status(200),
            xml.send(xml.reinvite_ack()),
        ]
    steps.append(xml.receive_within("BYE", left_ms, then="hung_up", otherwise="leave"))
    return steps


def _endings() -> list[str]:
    xml = sipp_xml
    return [
        xml.label("cancelled"),
        xml.send(xml.response(200, "OK")),
        xml.send(xml.request_terminated(), retransmit=True),
        xml.receive("ACK"),
        xml.branch("end"),
        xml.label("hung_up"),
        xml.send(xml.plain_ok()),
        xml.branch("end"),
        xml.label("leave"),
        xml.send(xml.bye(), retransmit=True),
        xml.receive_status(200),
        xml.branch("end"),
        xml.label("options"),
        xml.send(xml.response(200, "OK")),
        xml.label("end"),
        '<nop display="end of the call"/>',
    ]


def giving_up(number: str, caller: str) -> str:
    """Render a call towards Asterisk that is taken back (CANCEL) as soon as it is on its way.

    An answer that crosses with that is hung up on.
    """
    xml = sipp_xml
    remember = xml.find("branch=[^;]*", "invite_branch", header="Via:")
    return xml.scenario(
        "inbound call, given up",
        xml.send(xml.invite(number, caller), retransmit=True, starts="invite"),
        xml.receive_status(100, of="invite", actions=remember),
        xml.send(xml.cancel(number, caller), retransmit=True, starts="cancel"),
        xml.receive_status(200, optional=True, of="cancel"),
        xml.receive_status(200, optional=True, of="invite", then="answered", keep_route=True),
        xml.receive_status(487, of="invite"),
        xml.send(xml.refusal_ack(number, caller), acknowledges="invite"),
        xml.branch("end"),
        xml.label("answered"),
        xml.send(xml.within_call("ACK", number, caller, 1), acknowledges="invite"),
        xml.send(xml.within_call("BYE", number, caller, 2), retransmit=True, starts="bye"),
        xml.receive_status(200, optional=True, of="cancel"),
        xml.receive_status(481, optional=True, of="cancel"),
        xml.receive_status(200, of="bye"),
        xml.label("end"),
        '<nop display="end of the call"/>',
    )


def calling_side(number: str, caller: str, talk: Talk, track: Path) -> str:
    """Render the scenario of one call towards Asterisk."""
    xml = sipp_xml
    return xml.scenario(
        "inbound call",
        xml.send(xml.invite(number, caller), retransmit=True),
        xml.receive_status(100, optional=True),
        xml.receive_status(180, optional=True),
        xml.receive_status(183, optional=True),
        xml.receive_status(200, keep_route=True),
        xml.send(xml.within_call("ACK", number, caller, 1)),
        xml.stream(str(track)),
        xml.receive_within("BYE", talk.leave_ms, then="hung_up", otherwise="leave"),
        xml.label("leave"),
        xml.send(xml.within_call("BYE", number, caller, 2), retransmit=True),
        xml.receive_status(200),
        xml.branch("end"),
        xml.label("hung_up"),
        xml.send(xml.plain_ok()),
        xml.label("end"),
        '<nop display="end of the call"/>',
    )
