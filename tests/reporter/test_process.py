"""The reporter as a user runs it: started, killed, started again, asked for an export."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import time
from itertools import cycle

import pytest

from reporter_support.dialer import FakeDialer
from reporter_support.panel import LOST_AFTER_ACCEPTING, OK, FakePanel
from reporter_support.reports import failure, report_of
from reporter_support.site import Site
from reporter_support.web import Answer, WebServer
from salehi.dialer.v1 import dialer_pb2_grpc
from servicekit.server import GrpcServer, GrpcService
from support.timing import eventually


async def test_killed_in_the_middle(site: Site, panel: FakePanel) -> None:
    """Killed three times while the panel stumbles, no acknowledged result is lost or renamed."""
    panel.plan(cycle([OK, OK, OK, LOST_AFTER_ACCEPTING, Answer(500)]))
    reports = [report_of(number_id=index + 1) for index in range(60)]
    for third in range(3):
        async with site.started() as process:
            await site.report(reports[third * 20 : third * 20 + 20])
            await asyncio.sleep(random.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
    panel.plan([])
    async with site.started():
        await eventually(lambda: len(panel.accepted) == len(reports), within_s=20)
    assert panel.accepted.keys() == {report.attempt_id for report in reports}
    for bodies in panel.accepted.values():
        assert all(body == bodies[0] for body in bodies)


async def test_breaker_from_end_to_end(site: Site) -> None:
    """Failures pause the dialer and send one SMS per admin, once, also across a kill."""
    dialer = FakeDialer()  # type: ignore[abstract] # the other methods answer UNIMPLEMENTED
    add = dialer_pb2_grpc.add_DialerServiceServicer_to_server
    server = GrpcServer([GrpcService("salehi.dialer.v1.DialerService", add, dialer)])
    port = await server.start("127.0.0.1", 0, "DIALER_PORT")
    async with WebServer(lambda _: Answer(200, b'{"recIds": [1], "status": ""}')) as sms:
        site.settings.update(
            DIALER_ADDRESS=f"127.0.0.1:{port}",
            SMS_BASE_URL=sms.url,
            SMS_API_KEY="key-1",
            SMS_FROM="5000",
            SMS_ADMINS="09120000001, 09120000002",
            FAIL_ALERT_THRESHOLD="3",
            CALL_LANGUAGE="fa",
        )
        async with site.started() as process:
            await site.report([failure() for _ in range(4)])
            await eventually(lambda: len(sms.requests) == 2 and bool(dialer.pauses))
            process.kill()
        async with site.started():
            await eventually(lambda: dialer.status_requests > 0)
            dialer.pauses.clear()
            await eventually(lambda: len(sms.requests) == 4)
    await server.drain(0)
    assert len(dialer.pause_requests) <= 2  # the kill may come before the first is noted
    told = [(request.json()["to"], request.json()["text"][:25]) for request in sms.requests]
    assert told[0][0] == told[2][0] == ["09120000001"]
    assert told[1][0] == told[3][0] == ["09120000002"]
    assert told[0][1] == told[1][1] != told[2][1] == told[3][1]
    log = (site.directory / "logs" / "app.log").read_text()
    assert "key-1" not in log
    assert "09120000001" not in log


async def test_stops_within_its_time(site: Site) -> None:
    """SIGTERM ends an idle reporter in under five seconds with status 0."""
    async with site.started() as process:
        began = time.monotonic()
        process.terminate()
        assert await process.wait() == 0
        assert time.monotonic() - began < 5


async def test_log_holds_no_personal_data(site: Site, panel: FakePanel) -> None:
    """Neither stdout nor app.log shows a number or a word that was said, also of a refusal."""
    panel.plan([Answer(404, b"+989120000101 / 09120000101")])
    heard = "no thank you very much"
    async with site.started() as process:
        await site.report([report_of(heard=(heard,)), report_of(heard=(heard,)), failure()])
        await eventually(lambda: panel.tries.total() == 2)
        process.terminate()
        out, err = await process.communicate()
    logged = (out + err).decode() + (site.directory / "logs" / "app.log").read_text()
    assert "result" in logged
    assert "missed" in logged
    assert "9120000101" not in logged
    assert heard not in logged


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PANEL_API_TOKEN", "", "PANEL_API_TOKEN is not set"),
        ("PANEL_BASE_URL", "panel.local", "PANEL_BASE_URL=panel.local is not allowed"),
        ("SMS_PROVIDER", "pigeon", "SMS_PROVIDER=pigeon is not allowed"),
        ("FAIL_ALERT_THRESHOLD", "0", "FAIL_ALERT_THRESHOLD=0 is not allowed"),
        ("BREAKER_RETRY_AFTER", "5", "BREAKER_RETRY_AFTER=5 is not allowed"),
        ("RESULTS_RETENTION_DAYS", "-1", "RESULTS_RETENTION_DAYS=-1 is not allowed"),
        ("NUMBER_REGION", "XX", "NUMBER_REGION=XX is not allowed"),
        ("TIMEZONE", "Asia/Atlantis", "TIMEZONE=Asia/Atlantis is not allowed"),
        ("DATABASE_URL", "mysql://x/y", "only sqlite and postgresql are supported"),
    ],
)
async def test_bad_setting_is_one_line(site: Site, name: str, value: str, said: str) -> None:
    """A bad setting ends the start with status 3 and one line that names it, no traceback."""
    site.settings[name] = value
    process = await site.run()
    _, err = await asyncio.wait_for(process.communicate(), 15)
    (line,) = err.decode().splitlines()
    assert process.returncode == 3
    assert said in line


async def test_taken_port_is_one_line(site: Site) -> None:
    """A taken gRPC port ends the start with one line that names setting and port."""
    with socket.create_server(("127.0.0.1", site.port)):
        process = await site.run()
        _, err = await asyncio.wait_for(process.communicate(), 15)
    lines = err.decode().splitlines()  # gRPC's own library may add a line of its own
    (line,) = [line for line in lines if line.startswith("reporter: ")]
    assert "Traceback" not in err.decode()
    assert process.returncode == 3
    assert f"REPORTER_PORT={site.port}" in line
