"""Customers, operators and networks that make trouble: each call ends as it should."""

from __future__ import annotations

import re
from collections.abc import Mapping

from e2e_support import lab, short_prompts
from e2e_support.ari_proxy import AriProxy, ari_proxy
from e2e_support.clean import clean
from e2e_support.stack import ROOM, MakeStack, Stack
from e2e_support.understanding import understanding
from lab import troubles
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1 import reporter_pb2

CONNECTED = "connected_to_operator"
UNAVAILABLE = "failed:operator_unavailable"

EXPECTED = {
    troubles.INSISTENT: CONNECTED,
    # The caller leaves.
    troubles.LEAVES_AT_ONCE: "hangup",
    troubles.LEAVES_DURING_HELLO: "hangup",
    troubles.LEAVES_WHILE_LISTENED_TO: "hangup",
    troubles.LEAVES_WHILE_UNDERSTOOD: "hangup",
    troubles.LEAVES_DURING_YES: "disconnected",
    troubles.LEAVES_WHILE_IT_RINGS: "disconnected",
    troubles.LEAVES_THE_OPERATOR: CONNECTED,
    # The operator does not come, or goes.
    troubles.OPERATOR_BUSY: UNAVAILABLE,
    troubles.OPERATOR_SILENT: UNAVAILABLE,
    troubles.OPERATOR_DECLINES: UNAVAILABLE,
    troubles.OPERATOR_CRASHES: CONNECTED,
    # The trunk refuses.
    "08": "missed",
    "09": "missed",
    "10": "missed",
    "11": "failed:invalid_number",
    "12": "failed:congestion",
    troubles.UNAVAILABLE: "missed",
    troubles.SERVER_ERROR: "failed:congestion",
    troubles.EARLY_MEDIA_THEN_BUSY: "missed",
    # The audio is not what it should be.
    troubles.SENDS_NO_AUDIO: "hangup",
    troubles.HEARS_NOTHING: CONNECTED,
    troubles.FALLS_SILENT_IN_A_WORD: CONNECTED,
    troubles.TALKS_ON: CONNECTED,
    troubles.REINVITES: CONNECTED,
    troubles.SENDS_KEYS: "hangup",
}
INBOUND = ("gives-up", "gives-up", "leaves")
_ANSWER = r"^POST /channels/\S+/answer"


async def by_ending(running: Stack) -> Mapping[str, str]:
    """Give each result by the ending of the number called."""
    return {
        record.report.contact.number[-2:]: record.result
        for record in await running.results()
        if not is_inbound(record)
    }


def is_inbound(record: reporter_pb2.ResultRecord) -> bool:
    """Say whether the customer called us."""
    return record.report.direction == calls_pb2.DIRECTION_INBOUND


async def callers_leave(proxy: AriProxy) -> None:
    """Call in and leave: before the answer, which is late once, in its moment, and during hello."""
    late = proxy.spoil(_ANSWER, late_s=1.0)
    for behaviour in INBOUND:
        status, said = await lab.inbound_call(behaviour)
        assert status == 0, said
    assert late.times == 0


async def test_each_trouble_ends_as_it_should(make_stack: MakeStack) -> None:
    """All at once: who leaves, who never comes, what the trunk says; one right result for each."""
    contacts = ",".join(f"091200001{ending}" for ending in EXPECTED)
    async with (
        understanding(troubles.UNDERSTOOD_IN_MS / 1000) as ears,
        ari_proxy() as proxy,
        lab.asterisk_says("dtmf") as keys,
        make_stack(
            "reporter",
            "ari-gateway",
            "dialer",
            STATIC_CONTACTS=contacts,
            **{**ROOM, "OPERATOR_EXTENSIONS": "201:50,200:50"},
            OPERATOR_TIMEOUT="5",
            ORIGINATION_TIMEOUT="5",
            ORIGINATE_SPACING="0.1",
            **short_prompts.settings(),
            **ears.settings,
            **proxy.settings,
        ) as running,
    ):
        await running.ready()
        await callers_leave(proxy)
        count = len(EXPECTED) + len(INBOUND)
        await running.have_results(count, within_s=120)
        assert await by_ending(running) == EXPECTED
        assert re.findall("DTMF end '(.)' received", keys.read_text()) == ["1", "2"]
        inbound = [record for record in await running.results() if is_inbound(record)]
        assert [record.result for record in inbound] == ["hangup"] * len(INBOUND)
        assert sum(record.report.HasField("answered_at") for record in inbound) < len(INBOUND)
        # A trunk that is not there cannot be chosen by number.
        await running.place("PJSIP/09120000101@nowhere")
        results = await running.have_results(count + 1, within_s=20)
        assert "failed:trunk_unreachable" in results
        await clean(running)
