"""A Persian campaign of the panel: every outside service is a server that speaks its protocol."""

from __future__ import annotations

from contextlib import AsyncExitStack

from e2e_support import lab
from e2e_support.stack import MakeStack, eventually
from lab.fakes.llm import FakeLlm
from lab.fakes.panel import FakePanel
from lab.fakes.serving import serving
from lab.fakes.sms import FakeSms
from lab.fakes.vira import FakeVira

UNCLEAR = "والا نمی‌دونم چی بگم، حالا یه نفر توضیح بده ببینم چیه"


async def test_a_panel_campaign_reports_each_number_once(make_stack: MakeStack) -> None:
    """Numbers of the panel are dialled, understood by Vira and the LLM, and reported once each."""
    panel, vira, llm = FakePanel(), FakeVira(), FakeLlm()
    await lab.up("fa")
    async with AsyncExitStack() as fakes:
        panel_url, vira_url, llm_url = [
            await fakes.enter_async_context(serving(fake)) for fake in (panel, vira, llm)
        ]
        panel.configure(
            {
                "token": "panel-token",
                "numbers": [
                    {"id": 11, "phone_number": "09120000101"},
                    {"id": 12, "phone_number": "09120000108"},
                    {"id": 13, "phone_number": "09120000111"},
                ],
            }
        )
        vira.configure({"text": UNCLEAR, "stt_token": "stt-token"})
        llm.configure({"default": "yes"})
        async with make_stack(
            PANEL_BASE_URL=panel_url,
            PANEL_API_TOKEN="panel-token",
            CALL_LANGUAGE="fa",
            VIRA_STT_URL=f"{vira_url}/avanegar/v2/avanegar/request",
            VIRA_STT_TOKEN="stt-token",
            GAPGPT_BASE_URL=f"{llm_url}/v1",
            GAPGPT_API_KEY="llm-key",
            DIALER_DEFAULT_RETRY="1",
        ) as running:

            async def reported() -> bool:
                return len(panel.reports) >= 3

            await eventually(reported, within_s=120, what="three reports at the panel")
            results = {r.report.contact.panel_number_id: r for r in await running.results()}
    statuses = {report["number_id"]: report["status"] for report in panel.reports}
    assert statuses == {11: "CONNECTED", 12: "MISSED", 13: "FAILED"}
    assert len(panel.reports) == 3
    assert all("+03:30" in report["attempted_at"] for report in panel.reports)
    turn = results[11].report.outcome.turns[0]
    assert turn.heard == UNCLEAR
    assert len(vira.requests) == 1
    assert "09120000101" not in running.log
    assert UNCLEAR not in running.log


async def test_failures_in_a_row_pause_and_alert(make_stack: MakeStack) -> None:
    """Technical failures in a row pause the dialer, and each admin gets one SMS."""
    sms = FakeSms()
    async with (
        serving(sms) as sms_url,
        make_stack(
            STATIC_CONTACTS="09120000112,09120000212,09120000312,09120000412",
            FAIL_ALERT_THRESHOLD="2",
            SMS_BASE_URL=sms_url,
            SMS_API_KEY="sms-key",
            SMS_FROM="5000",
            SMS_ADMINS="09121111111,09122222222",
        ) as running,
    ):

        async def alerted() -> bool:
            return len(sms.received) >= 2

        await eventually(alerted, within_s=60, what="two SMS")
        async with running.dialer() as stub:
            from salehi.dialer.v1 import dialer_pb2

            status = await stub.GetStatus(dialer_pb2.GetStatusRequest(), timeout=5)
        assert status.paused
        assert [pause.kind for pause in status.pauses] == [dialer_pb2.PAUSE_KIND_BREAKER]
        assert len(sms.received) == 2
        assert "sms-key" not in running.log
