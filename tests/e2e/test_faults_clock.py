"""A clock that is set an hour ahead, and back again, while calls are under way."""

from __future__ import annotations

from pathlib import Path

from e2e_support import short_prompts
from e2e_support.clean import call, clean
from e2e_support.clock import jumping_clock
from e2e_support.stack import ROOM, MakeStack
from e2e_support.understanding import understanding
from lab import troubles
from salehi.calls.v1 import calls_pb2
from salehi.dialer.v1 import dialer_pb2

_HOUR_S = 3600


async def test_a_clock_that_jumps_costs_no_call_and_breaks_no_limit(
    make_stack: MakeStack, tmp_path: Path
) -> None:
    """The call goes on to its ordinary end, and the one too many for the minute waits."""
    with jumping_clock(tmp_path) as clock:
        async with (
            understanding(0.3) as ears,
            make_stack(
                "reporter",
                **{**ROOM, "MAX_CALLS_PER_MINUTE": "1"},
                OUTBOUND_NUMBERS="02191001001",
                **short_prompts.settings(),
                **ears.settings,
            ) as running,
        ):
            await running.start("ari-gateway", **clock.settings)
            await running.start("dialer", **clock.settings)
            await running.ready()
            await call(
                running, f"091200081{troubles.INSISTENT}", f"091200082{troubles.LEAVES_AT_ONCE}"
            )
            await running.reaches(calls_pb2.CALL_STATE_ANSWERED)
            clock.set(_HOUR_S)
            async with running.dialer() as dialer:  # which looks again who may be dialled
                await dialer.Resume(dialer_pb2.ResumeRequest(), timeout=10)
            await running.reaches(calls_pb2.CALL_STATE_CONNECTED)
            clock.set(0)
            assert await running.have_results(1, within_s=40) == ["connected_to_operator"]
            assert len(await running.attempts()) == 1
            # The gateway has kept its lease, and dials.
            await running.ready()
            await running.end("dialer")
            await running.start("dialer", MAX_CALLS_PER_MINUTE="1000")
            results = await running.have_results(2, within_s=40)
            assert results == ["connected_to_operator", "hangup"]
            await clean(running)
