"""Alerts by SMS, as the two gateways speak."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

import httpx
import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from reporter.alert_sender import AlertSender
from reporter.alerts import Alert
from reporter.errors import SmsFailed
from reporter.pacing import Pacing
from reporter.sms import Kavenegar, Melipayamak
from reporter.tables import AlertStatus, alerts
from reporter_support.house import ADMINS, THRESHOLD, House
from reporter_support.reports import failure
from reporter_support.web import Answer, WebServer
from support.timing import eventually, running

KEY = "secret-key-1"
SENT = Answer(200, b'{"recIds": [81234], "status": ""}')
AT_ONCE = Pacing(first_s=0.0, longest_s=0.0)


def _melipayamak(http: httpx.AsyncClient, url: str) -> Melipayamak:
    return Melipayamak(http, url, KEY, "5000")


async def _open_breaker(house: House) -> None:
    for _ in range(THRESHOLD):
        await house.ledger.record(failure())


async def _nothing_waits(house: House) -> bool:
    return await house.alerts.seconds_to_next() is None


async def test_melipayamak_on_the_wire(http: httpx.AsyncClient) -> None:
    """The console's form: the key in the path, one recipient in a list, an empty udh."""
    async with WebServer(lambda _: SENT) as server:
        await _melipayamak(http, server.url).send("09120000001", "متن")
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", f"/api/send/advanced/{KEY}")
    assert request.json() == {"from": "5000", "to": ["09120000001"], "text": "متن", "udh": ""}


@pytest.mark.parametrize(
    "body",
    [
        b'{"recIds": [], "status": "credit is not enough"}',
        b'{"recIds": null, "status": "x"}',
        b'{"recIds": [1], "status": "refused"}',
        b"{}",
        b"[]",
        b"<html>",
    ],
)
async def test_melipayamak_refuses_with_200(http: httpx.AsyncClient, body: bytes) -> None:
    """HTTP 200 is no success: without a message number and an empty status it was refused."""
    async with WebServer(lambda _: Answer(200, body)) as server:
        with pytest.raises(SmsFailed) as failed:
            await _melipayamak(http, server.url).send("09120000001", "text")
    assert not failed.value.retryable


async def test_refusal_does_not_repeat_the_number(http: httpx.AsyncClient) -> None:
    """What the gateway says is passed on without the numbers in it, in any digits."""
    body = '{"recIds": [], "status": "شماره ۰۹۱۲۰۰۰۰۰۰۱ یا 09120000001 نامعتبر است"}'.encode()
    async with WebServer(lambda _: Answer(200, body)) as server:
        with pytest.raises(SmsFailed) as failed:
            await _melipayamak(http, server.url).send("09120000001", "text")
    assert failed.value.reason == "refused: شماره … یا … نامعتبر است"


async def test_kavenegar(http: httpx.AsyncClient) -> None:
    """Kavenegar gets a form and answers in `return.status`."""
    sent = Answer(200, b'{"return": {"status": 200, "message": "ok"}, "entries": []}')
    async with WebServer(lambda _: sent) as server:
        await Kavenegar(http, server.url, KEY, "1000").send("09120000001", "hi there")
    (request,) = server.requests
    assert request.path == f"/v1/{KEY}/sms/send.json"
    assert parse_qs(request.body.decode()) == {
        "receptor": ["09120000001"],
        "message": ["hi there"],
        "sender": ["1000"],
    }


@pytest.mark.parametrize("body", [b'{"return": {"status": 418, "message": "credit"}}', b"{}"])
async def test_kavenegar_refuses(http: httpx.AsyncClient, body: bytes) -> None:
    """Anything but `return.status` 200 is a refusal."""
    async with WebServer(lambda _: Answer(200, body)) as server:
        with pytest.raises(SmsFailed):
            await Kavenegar(http, server.url, KEY, "").send("09120000001", "text")


@pytest.mark.parametrize(
    ("answer", "retryable"),
    [(Answer(500), True), (Answer(429), True), (Answer(401), False), (Answer(lost=True), False)],
)
async def test_only_what_was_surely_not_sent_is_repeated(
    http: httpx.AsyncClient, answer: Answer, *, retryable: bool
) -> None:
    """Server errors are tried again; a lost answer is not, because the SMS may be on its way."""
    async with WebServer(lambda _: answer) as server:
        with pytest.raises(SmsFailed) as failed:
            await _melipayamak(http, server.url).send("09120000001", "text")
    assert failed.value.retryable is retryable


async def test_the_key_never_shows(http: httpx.AsyncClient) -> None:
    """No error of the adapter, nor anything chained to it, contains the gateway's key."""
    with pytest.raises(SmsFailed) as failed:
        await _melipayamak(http, "http://127.0.0.1:1").send("09120000001", "text")
    assert failed.value.retryable
    assert failed.value.__suppress_context__
    assert KEY not in str(failed.value)


async def test_one_request_per_admin(house: House, http: httpx.AsyncClient) -> None:
    """An opening sends each admin one request of one recipient, and no more."""
    async with WebServer(lambda _: SENT) as server:
        sender = AlertSender(house.alerts, _melipayamak(http, server.url))
        async with running(sender.run()):
            await _open_breaker(house)
            sender.wake()
            await eventually(lambda: len(server.requests) == len(ADMINS))
            await _open_breaker(house)
            sender.wake()
            await eventually(lambda: _nothing_waits(house))
    assert [request.json()["to"] for request in server.requests] == [[one] for one in ADMINS]


async def test_gateway_away_for_a_while(house: House, http: httpx.AsyncClient) -> None:
    """Alerts survive a gateway that answers 503, and each admin still gets exactly one."""
    answers = iter([Answer(503), Answer(503), Answer(503)])
    async with WebServer(lambda _: next(answers, SENT)) as server:
        await _open_breaker(house)
        sender = AlertSender(house.alerts, _melipayamak(http, server.url), pacing=AT_ONCE)
        async with running(sender.run()):
            await eventually(lambda: len(server.requests) == len(ADMINS) + 3)
            await eventually(lambda: _nothing_waits(house))
    accepted = [request.json()["to"][0] for request in server.requests[3:]]
    assert sorted(accepted) == sorted(ADMINS)


async def test_gives_up_in_the_end(house: House, http: httpx.AsyncClient) -> None:
    """A gateway that never works is asked eight times per admin, then no more."""
    async with WebServer(lambda _: Answer(503)) as server:
        await _open_breaker(house)
        sender = AlertSender(house.alerts, _melipayamak(http, server.url), pacing=AT_ONCE)
        async with running(sender.run()):
            await eventually(lambda: len(server.requests) == 8 * len(ADMINS))
            await asyncio.sleep(0.05)  # time for a ninth
    assert len(server.requests) == 8 * len(ADMINS)
    assert await _nothing_waits(house)


async def test_interrupted_sms_is_not_repeated(house: House, http: httpx.AsyncClient) -> None:
    """An SMS under way when the process died is not sent again, also later; the others are."""
    await _open_breaker(house)
    interrupted = await house.alerts.take_due()
    assert interrupted is not None
    async with WebServer(lambda _: SENT) as server:
        sender = AlertSender(house.alerts, _melipayamak(http, server.url))
        async with running(sender.run()):
            await eventually(lambda: len(server.requests) == 1)
            await eventually(lambda: _nothing_waits(house))
            house.clock.advance(3600)
            sender.wake()
            await eventually(lambda: _is_given_up(house, interrupted))
    assert server.requests[0].json()["to"] == [ADMINS[1]]
    assert len(server.requests) == 1


async def test_anothers_sms_is_not_given_up(house: House) -> None:
    """A reporter that starts leaves alone what another one is just sending."""
    await _open_breaker(house)
    alert = await house.alerts.take_due()
    assert alert is not None
    assert await house.alerts.abandon_unknown() == 0
    await house.alerts.settle(alert, AlertStatus.SENT)
    house.clock.advance(3600)
    assert await house.alerts.abandon_unknown() == 0


async def _is_given_up(house: House, alert: Alert) -> bool:
    async with house.storage.transaction() as connection:
        query = select(alerts.c.status).where(alerts.c.id == alert.alert_id)
        return await connection.scalar(query) == AlertStatus.FAILED


async def test_logs_hold_no_number_and_no_key(house: House, http: httpx.AsyncClient) -> None:
    """Admins' numbers stand in the log only in masked fields, the key not at all."""
    answers = iter([Answer(401, b'{"status": "09120000001"}')])
    with capture_logs() as logs:
        async with WebServer(lambda _: next(answers, SENT)) as server:
            await _open_breaker(house)
            async with running(AlertSender(house.alerts, _melipayamak(http, server.url)).run()):
                await eventually(lambda: len(server.requests) == len(ADMINS))
                await eventually(lambda: _nothing_waits(house))
    assert len(logs) >= 2
    for entry in logs:
        shown = {key: value for key, value in entry.items() if not key.endswith("_pii")}
        assert KEY not in str(entry)
        assert not any(admin in str(shown) for admin in ADMINS)
