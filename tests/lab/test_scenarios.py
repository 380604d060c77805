"""The SIPp scenarios: well-formed, complete, and chosen by the number dialled."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab import behaviours, scenarios
from lab.behaviours import PromptLengths, Talk
from lab.scenarios import Choice

PHRASE_MS = {behaviours.YES: 800, behaviours.NO: 900, behaviours.QUESTION: 1600}
PEOPLE = behaviours.customers(PromptLengths(), PHRASE_MS)
TRACKS = {
    ending: tuple(Path(f"audio/{ending}-{voice}.alaw") for voice in range(4))
    for ending, behaviour in PEOPLE.items()
    if isinstance(behaviour, Talk)
}
CUSTOMERS = scenarios.customer_choices(PEOPLE, TRACKS)
OPERATORS = scenarios.operator_choices(Path("audio/operator.alaw"))


def chosen(choices: list[Choice], dialled: str, caller: str = "1001") -> Choice:
    """Give the branch SIPp would take: the first whose pattern matches the INVITE."""
    invite = (
        f"INVITE sip:{dialled}@127.0.0.1:5070 SIP/2.0\r\n"
        f"From: <sip:{caller}@127.0.0.1>;tag=x\r\nTo: <sip:{dialled}@127.0.0.1>\r\n"
    )
    return next(choice for choice in choices if re.search(choice.pattern, invite))


@given(st.text("0123456789", min_size=1, max_size=14))
def test_the_last_two_digits_choose_the_customer(head: str) -> None:
    """Whatever stands before them, they decide; the voice is one of that behaviour's."""
    for ending, behaviour in PEOPLE.items():
        choice = chosen(CUSTOMERS, head + ending)
        assert choice.behaviour == behaviour
        assert choice.track is None or choice.track in TRACKS[ending]


@given(st.text("0123456789", min_size=1, max_size=16))
def test_every_number_gets_a_customer(dialled: str) -> None:
    """A number of any length and ending is answered by somebody; the ordinary one says yes."""
    choice = chosen(CUSTOMERS, dialled)
    assert choice.behaviour == PEOPLE.get(dialled[-2:], PEOPLE["01"])


def test_consecutive_numbers_have_different_voices() -> None:
    """A list of contacts is not spoken by one person alone."""
    voices = {str(chosen(CUSTOMERS, f"10010912000010{n}").track)[-6] for n in (1, 2, 3, 4, 7)}
    assert len(voices) >= 3


@pytest.mark.parametrize(
    ("extension", "caller", "name"),
    [
        ("200", "09120000101", "talks"),
        ("201", "09120000101", "busy"),
        ("202", "09120000101", "absent"),
        ("345", "09120000101", "talks"),
        ("200", "09120000107", "impatient"),
        ("201", "09120000107", "busy"),
    ],
)
def test_operators_follow_extension_and_waiting_customer(
    extension: str, caller: str, name: str
) -> None:
    """For a customer who leaves while it rings nobody answers; else the extension decides."""
    assert chosen(OPERATORS, extension, caller).name == name


SCENARIOS = {
    "customers": scenarios.called_side("customers", CUSTOMERS, 500),
    "operators": scenarios.called_side("operators", OPERATORS, 1000),
    "inbound": scenarios.calling_side(
        "02191001001", "09120000901", Talk(()), Path("audio/05-0.alaw")
    ),
    "given up": scenarios.giving_up("02191001001", "09120000901"),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_jump_has_a_target(name: str) -> None:
    """The file is XML, and each next and ontimeout names a label that stands there once."""
    root = ET.fromstring(SCENARIOS[name])  # noqa: S314 - our own text
    labels = [label.get("id") for label in root.iter("label")]
    jumps = {step.get(kind) for step in root for kind in ("next", "ontimeout")} - {None}
    assert len(labels) == len(set(labels))
    assert jumps <= set(labels)
    assert jumps


@pytest.mark.parametrize("name", ["customers", "operators", "given up"])
def test_every_variable_is_set_before_it_is_used(name: str) -> None:
    """Branches test, and messages quote, only what the INVITE's actions assign."""
    text = SCENARIOS[name]
    assigned = set(re.findall(r'assign_to="(\w+)"', text))
    used = set(re.findall(r'test="(\w+)"', text)) | set(re.findall(r"\[\$(\w+)\]", text))
    assert used == assigned


def test_a_call_is_taken_back_by_its_own_names() -> None:
    """RFC 3261, 9.1: a CANCEL bears the branch, the number and the tags of its INVITE."""
    invite, cancel, refused, accepted, bye = re.findall(
        r"CDATA\[\n\n(.*?)\n\n\]\]", SCENARIOS["given up"], re.DOTALL
    )
    for name in ("From:", "Call-ID:"):
        (own,) = re.findall(f"^{name}.*$", invite, re.MULTILINE)
        assert all(own in request for request in (cancel, refused, accepted, bye))
    assert "tag" not in re.findall("^To:.*$", cancel, re.MULTILINE)[0]
    branches = [";[$invite_branch]" in request for request in (cancel, refused, accepted, bye)]
    assert branches == [True, True, False, False]
    assert "CSeq: 1 CANCEL" in cancel
    assert "CSeq: 1 ACK" in refused


def test_audio_is_named_relative_to_the_lab() -> None:
    """A checkout's path may hold anything, a comma too, which would end SIPp's file name."""
    files = re.findall(r'rtp_stream="([^,]+),', SCENARIOS["customers"])
    assert files
    assert all(not Path(file).is_absolute() for file in files)
