"""Customers, operators and networks that make trouble: each call ends as it should."""

from __future__ import annotations

from collections.abc import Mapping

from e2e_support import short_prompts
from e2e_support.clean import clean
from e2e_support.stack import ROOM, MakeStack, Stack
from e2e_support.understanding import understanding
from lab import troubles

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
}


async def by_ending(running: Stack) -> Mapping[str, str]:
    """Give each result by the ending of the number called."""
    return {record.report.contact.number[-2:]: record.result for record in await running.results()}


async def test_each_trouble_ends_as_it_should(make_stack: MakeStack) -> None:
    """All at once: who leaves, who never comes, what the trunk says; one right result for each."""
    contacts = ",".join(f"091200001{ending}" for ending in EXPECTED)
    async with (
        understanding(troubles.UNDERSTOOD_IN_MS / 1000) as ears,
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
        ) as running,
    ):
        await running.have_results(len(EXPECTED), within_s=120)
        assert await by_ending(running) == EXPECTED
        # A trunk that is not there cannot be chosen by number.
        await running.place("PJSIP/09120000101@nowhere")
        results = await running.have_results(len(EXPECTED) + 1, within_s=20)
        assert "failed:trunk_unreachable" in results
        await clean(running)
