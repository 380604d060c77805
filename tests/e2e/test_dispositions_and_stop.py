"""How a trunk's answers are named, and how everything is stopped, on the real Asterisk."""

from __future__ import annotations

import time

from e2e_support.stack import MakeStack
from salehi.calls.v1 import calls_pb2
from salehi.dialer.v1 import dialer_pb2


async def test_a_trunks_answers_mean_what_the_settings_say(make_stack: MakeStack) -> None:
    """Cause 17 and SIP status 603 are named as DISPOSITIONS says, other answers as usual."""
    async with make_stack(
        STATIC_CONTACTS="09120000108,09120000110,09120000111",
        DISPOSITIONS="*/cause:17=unreachable,*/sip:603=busy",
    ) as running:
        await running.have_results(3, within_s=60)
        named = {
            record.report.contact.number[-3:]: record.report.outcome.disposition
            for record in await running.results()
        }
    assert named == {
        "108": calls_pb2.DISPOSITION_UNREACHABLE,
        "110": calls_pb2.DISPOSITION_BUSY,
        "111": calls_pb2.DISPOSITION_INVALID_NUMBER,
    }


async def test_an_emergency_stop_silences_ringing_phones_at_once(make_stack: MakeStack) -> None:
    """A stop ends the ringing calls within a second, spares the answered one, and holds."""
    async with make_stack(
        STATIC_CONTACTS="09120000105,09120000109,09120000209", MAX_TOTAL_CALLS="2"
    ) as running:
        await running.reaches(calls_pb2.CALL_STATE_RINGING)
        await running.reaches(calls_pb2.CALL_STATE_ANSWERED)
        async with running.dialer() as dialer:
            request = dialer_pb2.EmergencyStopRequest(reason="wrong prompt", by="night shift")
            stopped = await dialer.EmergencyStop(request, timeout=15)
        asked_s = time.monotonic()
        assert (stopped.calls_ended, stopped.gateway_reached) == (1, True)
        assert await running.have_results(1, within_s=1) == ["failed:hung_up_by_request"]
        assert time.monotonic() - asked_s < 1.5
        # The silent one was answered: that conversation goes on to its own end.
        assert await running.have_results(2, within_s=60) == [
            "failed:hung_up_by_request",
            "hangup",
        ]
        assert await running.live_calls() == []
        async with running.dialer() as dialer:
            status = await dialer.GetStatus(dialer_pb2.GetStatusRequest(), timeout=5)
        assert status.contacts_waiting == 1
        assert [pause.by for pause in status.pauses] == ["night shift"]
