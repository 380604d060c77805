"""Processes that are killed in mid-call, and what their successors make of it."""

from __future__ import annotations

import asyncio
import signal

from e2e_support import lab, short_prompts
from e2e_support.ari_proxy import ari_proxy
from e2e_support.clean import call, clean
from e2e_support.stack import ROOM, MakeStack
from e2e_support.understanding import understanding
from lab import troubles
from salehi.calls.v1 import calls_pb2
from support.ports import free_port

# What passes between gateway and Asterisk in each verb of the scenario, in order.
_VERBS = {
    "dialing": r"^Dial \S+ RINGING",
    "hello": r"^PlaybackStarted \S+-p0 ",
    "listening": r"^RecordingStarted ",
    "understanding": r"^GET /recordings/stored/.*/file",
    "yes": r"^PlaybackStarted \S+-p1 ",
    "calling the operator": r"^POST /channels PJSIP/200@",
    "ringing the operator": r"^PlaybackStarted \S+-h1",
    "connecting": r"^POST /bridges/\d+-bridge",
    "talking": r"^ChannelEnteredBridge ",
}


async def test_calls_outlive_their_gateway_in_every_verb(make_stack: MakeStack) -> None:
    """Killed in each verb and started again, gateways lead every call to its ordinary end."""
    contacts = [f"09120000{n}{troubles.RINGS_LONG}" for n in range(1, 5)]
    async with (
        understanding(0.5) as ears,
        ari_proxy() as proxy,
        make_stack(
            "reporter",
            "ari-gateway",
            "dialer",
            STATIC_CONTACTS=",".join(contacts),
            ORIGINATION_TIMEOUT="30",
            ORIGINATE_SPACING="0",
            **ROOM,
            **short_prompts.settings(),
            **ears.settings,
            **proxy.settings,
        ) as running,
    ):
        for verb, pattern in _VERBS.items():
            # All of them ring, and all have answered, before nobody is there to hear them answer.
            together = verb in {"dialing", "hello"}
            moment = proxy.seen(pattern, times=len(contacts) if together else 1)
            await asyncio.wait({moment}, timeout=60)
            assert moment.done(), f"no call came as far as {verb}"
            await running.end("ari-gateway", signal.SIGKILL)
            await running.start("ari-gateway")
        results = await running.have_results(len(contacts), within_s=60)
        assert results == ["connected_to_operator"] * len(contacts)
        await clean(running)


async def test_speech_and_intent_killed_in_mid_call_cost_that_call(make_stack: MakeStack) -> None:
    """Without speech, or without intent, a caller hears `goodby`; with them again all is well."""
    async with make_stack(**ROOM, **short_prompts.settings()) as running:
        await running.ready()
        expected = []
        for number, service in enumerate(("intent", "speech")):
            await call(running, f"09120003{number}{troubles.INSISTENT}")
            await running.reaches(calls_pb2.CALL_STATE_ANSWERED)
            await running.end(service, signal.SIGKILL)
            expected.append(f"failed:{service}_unavailable")
            assert await running.have_results(len(expected), within_s=40) == expected
            await running.start(service)
        await running.says("speech", "serving", times=2)
        # Whoever presses keys has said nothing.
        await call(running, f"091200032{troubles.INSISTENT}", f"091200022{troubles.PRESSES_KEYS}")
        expected = sorted([*expected, "connected_to_operator", "hangup"])
        assert await running.have_results(len(expected), within_s=60) == expected
        await clean(running)


async def test_one_gateway_leads_and_one_takes_over(make_stack: MakeStack) -> None:
    """A second gateway is refused in one line; one on standby leads 10 s after a SIGKILL."""
    async with (
        understanding(0.3) as ears,
        make_stack(
            "reporter",
            "ari-gateway",
            "dialer",
            **ROOM,
            **short_prompts.settings(),
            **ears.settings,
        ) as running,
    ):
        await running.ready()
        await running.start("ari-gateway", "second", ARI_GATEWAY_METRICS_PORT=str(free_port()))
        assert await running.ends("second", within_s=20) == 3
        refusal = [line for line in running.output("second").splitlines() if "ARI_APP_NAME" in line]
        assert len(refusal) == 1
        assert "STANDBY=on" in refusal[0]
        own_port = {"ARI_GATEWAY_METRICS_PORT": str(free_port())}
        await running.start("ari-gateway", "standby", STANDBY="on", **own_port)
        await running.says("standby", "on standby")
        await call(running, f"091200041{troubles.INSISTENT}")
        await running.reaches(calls_pb2.CALL_STATE_ANSWERED)
        await running.end("ari-gateway", signal.SIGKILL)
        await running.reaches(calls_pb2.CALL_STATE_ANSWERED, within_s=10)
        assert await running.have_results(1, within_s=60) == ["connected_to_operator"]
        await clean(running)


async def test_a_gateway_told_to_stop_lets_its_calls_end(make_stack: MakeStack) -> None:
    """After SIGTERM live calls go on, all new ones are refused, and it ends with status 0."""
    async with (
        understanding(0.3) as ears,
        make_stack(
            "reporter",
            "ari-gateway",
            "dialer",
            DRAIN_TIMEOUT="60",
            **ROOM,
            **short_prompts.settings(),
            **ears.settings,
        ) as running,
    ):
        await running.ready()
        await call(running, f"091200051{troubles.INSISTENT}")
        await running.reaches(calls_pb2.CALL_STATE_ANSWERED)
        running.processes["ari-gateway"].send_signal(signal.SIGTERM)
        await call(running, f"091200052{troubles.LEAVES_AT_ONCE}")
        _, said = await lab.inbound_call("yes")
        assert "not answered" in said
        assert await running.ends("ari-gateway", within_s=60) == 0
        assert await running.have_results(1, within_s=5) == ["connected_to_operator"]
        await running.start("ari-gateway")
        assert await running.have_results(2, within_s=60) == ["connected_to_operator", "hangup"]
        await clean(running)
