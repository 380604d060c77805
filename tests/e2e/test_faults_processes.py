"""Processes that are killed in mid-call, and what their successors make of it."""

from __future__ import annotations

import asyncio
import signal

from e2e_support import short_prompts
from e2e_support.ari_proxy import ari_proxy
from e2e_support.clean import clean
from e2e_support.stack import MakeStack, eventually
from e2e_support.understanding import understanding
from lab import troubles
from salehi.calls.v1 import calls_pb2

_QUIET_HOUSE = {
    "MAX_CONCURRENT_CALLS": "50",
    "MAX_CALLS_PER_MINUTE": "1000",
    "OPERATOR_EXTENSIONS": "200:50",
    "FAIL_ALERT_THRESHOLD": "1000",
    "REQUIRE_CONSENT": "off",
}
"""Room for many calls at once, and contacts added while it runs."""

# What passes between gateway and Asterisk in each verb of the scenario.
_VERBS = {
    "dialing": r"^Dial \S+ RINGING|^ChannelStateChange \S{36} Ringing",
    "hello": r"^PlaybackStarted \S+-p0 ",
    "listening": r"^RecordingStarted ",
    "understanding": r"^GET /recordings/stored/.*/file",
    "yes": r"^PlaybackStarted \S+-p1 ",
    "calling the operator": r"^POST /channels$",
    "ringing the operator": r"^PlaybackStarted \S+-h1",
    "connecting": r"^POST /bridges$",
    "talking": r"^ChannelEnteredBridge ",
}


async def test_calls_outlive_their_gateway_in_every_verb(make_stack: MakeStack) -> None:
    """Killed in each verb and started again, gateways lead every call to its ordinary end."""
    contacts = [f"0912000{n}{troubles.INSISTENT}" for n in range(10, 22)]
    async with (
        understanding(0.5) as ears,
        ari_proxy() as proxy,
        make_stack(
            "reporter",
            "ari-gateway",
            "dialer",
            STATIC_CONTACTS=",".join(contacts),
            OUTBOUND_NUMBERS="02191001001",
            ORIGINATE_SPACING="1.5",
            **_QUIET_HOUSE,
            **short_prompts.settings(),
            **ears.settings,
            **proxy.settings,
        ) as running,
    ):
        await running.ready()
        verbs = dict(_VERBS)
        while verbs:
            moments = {name: proxy.seen(pattern) for name, pattern in verbs.items()}
            done, _ = await asyncio.wait(
                moments.values(), timeout=45, return_when=asyncio.FIRST_COMPLETED
            )
            reached = [name for name, moment in moments.items() if moment in done]
            assert reached, f"no call comes to {', '.join(verbs)}"
            del verbs[reached[0]]
            await running.end("ari-gateway", signal.SIGKILL)
            await running.start("ari-gateway")
            await running.ready()
        results = await running.have_results(len(contacts), within_s=90)
        assert results == ["connected_to_operator"] * len(contacts)
        await clean(running)
