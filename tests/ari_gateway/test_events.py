"""Events of Asterisk: known ones are typed, odd ones hurt nobody."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ari_gateway.ari import events as ev
from ari_gateway.ari.errors import AriEventInvalid

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def channel(**more: Any) -> dict[str, Any]:
    """Make a channel as events carry it."""
    return {"id": "c1", "state": "Up", "caller": {"number": "0912"}, **more}


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (
            {
                "type": "StasisStart",
                "args": ["inbound"],
                "channel": channel(dialplan={"exten": "02191001001"}),
            },
            ev.StasisStart("c1", ("inbound",), "0912", "02191001001", "Up"),
        ),
        ({"type": "Dial", "peer": {"id": "c1"}, "dialstatus": "BUSY"}, ev.Dial("c1", "BUSY")),
        (
            {"type": "ChannelDestroyed", "cause": 17, "tech_cause": 486, "channel": channel()},
            ev.ChannelDestroyed("c1", 17, 486, "Up"),
        ),
        (
            {"type": "ChannelDestroyed", "cause": 17, "channel": channel()},
            ev.ChannelDestroyed("c1", 17, 0, "Up"),
        ),
        (
            {
                "type": "PlaybackFinished",
                "playback": {"id": "p", "target_uri": "channel:c1", "state": "failed"},
            },
            ev.PlaybackFinished("c1", "p", failed=True),
        ),
        (
            {"type": "RecordingFinished", "recording": {"name": "r", "target_uri": "channel:c1"}},
            ev.RecordingFinished("c1", "r"),
        ),
        (
            {"type": "ChannelTalkingFinished", "duration": 640, "channel": channel()},
            ev.TalkingFinished("c1", 640),
        ),
        ({"type": "ChannelVarset", "channel": channel()}, None),
        ({"type": "SomethingNew"}, None),
    ],
)
def test_events_are_typed(message: dict[str, Any], event: ev.Event | None) -> None:
    """Each documented event becomes its type, with the channel it is about; others are left out."""
    assert ev.parse(message) == event


@given(
    st.dictionaries(st.text(), JSON), st.sampled_from(["StasisStart", "Dial", "PlaybackFinished"])
)
def test_odd_events_are_refused_by_name(message: dict[str, Any], kind: str) -> None:
    """An event of a known type and an odd shape is AriEventInvalid, and nothing else."""
    try:
        ev.parse({**message, "type": kind})
    except AriEventInvalid as error:
        assert kind in str(error)  # noqa: PT017 - either outcome is right
