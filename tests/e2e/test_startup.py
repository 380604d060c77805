"""What cannot work is said in one line, and ends the process."""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import pytest

from e2e_support import lab
from e2e_support.stack import MakeStack, Stack, eventually
from salehi.calls.v1 import calls_pb2
from support.certificates import Authority
from support.ports import free_port


async def refused(running: Stack, service: str) -> str:
    """Wait for a service that must not start; give what it said."""
    began_s = time.monotonic()
    async with asyncio.timeout(15):
        status = await running.processes[service].wait()
    assert status == 3
    assert time.monotonic() - began_s < 15
    said = running.output(service)
    assert "Traceback" not in said
    return said


def errors(said: str, service: str) -> list[str]:
    """Give the lines that are the service's own complaint."""
    return [line for line in said.splitlines() if line.startswith(f"{service}: ")]


@pytest.mark.parametrize(
    ("service", "settings", "names"),
    [
        ("ari-gateway", {"ARI_PASSWORD": "wrong"}, "ARI_PASSWORD"),
        ("ari-gateway", {"ARI_BASE_URL": "http://127.0.0.1:9/ari"}, "ARI_BASE_URL"),
        ("ari-gateway", {"ARI_WS_URL": "ws://127.0.0.1:9/ari/events"}, "ARI_WS_URL"),
        ("ari-gateway", {"ARI_TIMEOUT": "soon"}, "ARI_TIMEOUT=soon"),
        ("dialer", {"OUTBOUND_NUMBERS": "021x,5"}, "OUTBOUND_NUMBERS"),
        ("dialer", {"CALL_WINDOW": "9-25"}, "CALL_WINDOW"),
        ("dialer", {"DATABASE_URL": "sqlite:////proc/no/x.db"}, "DATABASE_URL"),
    ],
)
async def test_a_mistake_is_one_line(
    make_stack: MakeStack, service: str, settings: dict[str, str], names: str
) -> None:
    """A wrong setting is one line that names it, no traceback, status 3, within 15 s."""
    async with make_stack(service, **settings) as running:
        lines = errors(await refused(running, service), service)
        assert len(lines) == 1
        assert names in lines[0]
        assert "wrong" not in lines[0]


async def test_a_pbx_with_a_certificate_of_its_own_is_believed_by_name(
    make_stack: MakeStack, tmp_path: Path
) -> None:
    """Over Asterisk's own TLS: a link with its CA and its name, one line without either."""
    shown = Authority.make(tmp_path / "ca").issue(tmp_path / "pbx", "DNS:localhost")
    async with make_stack("reporter") as running, lab.asterisk_over_tls(shown) as port:
        told = {
            "ARI_BASE_URL": f"https://localhost:{port}/ari",
            "ARI_WS_URL": f"wss://localhost:{port}/ari/events",
        }
        await running.start("ari-gateway", **told)
        (line,) = errors(await refused(running, "ari-gateway"), "ari-gateway")
        assert "certificate is refused" in line
        assert line.endswith("in ARI_CA_FILE")
        told["ARI_CA_FILE"] = str(shown.ca)
        by_address = f"wss://127.0.0.1:{port}/ari/events"
        await running.start("ari-gateway", "other", **{**told, "ARI_WS_URL": by_address})
        (line,) = errors(await refused(running, "other"), "ari-gateway")
        assert line.startswith(f"ari-gateway: ARI_WS_URL={by_address}: its certificate is refused")
        await running.start("ari-gateway", **told)
        await running.says("ari-gateway", "requests travel over the events WebSocket")


@pytest.mark.parametrize("service", ["ari-gateway", "dialer", "speech", "intent", "reporter"])
async def test_a_taken_port_is_named(make_stack: MakeStack, service: str) -> None:
    """A taken gRPC port is one line that names the setting and the port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        name = service.upper().replace("-", "_") + "_PORT"
        async with make_stack(service, **{name: str(port)}) as running:
            lines = errors(await refused(running, service), service)
            assert len(lines) == 1
            assert f"{name}={port}" in lines[0]


async def test_nothing_is_dialled_without_prompts(make_stack: MakeStack, tmp_path: Path) -> None:
    """A missing prompt is one clear line, PlaceCall is refused, and nothing is dialled."""
    async with make_stack(
        "intent",
        "reporter",
        "ari-gateway",
        "dialer",
        AST_SOUND_PREFIX="nowhere",
        STATIC_CONTACTS="09120000102",
    ) as running:

        async def said() -> bool:
            return "Asterisk cannot play" in running.output("ari-gateway")

        await eventually(said, within_s=15, what="the line about the prompts")
        async with running.calls() as stub:
            listed = await stub.ListCalls(calls_pb2.ListCallsRequest(), timeout=5)
        assert not listed.ready_to_dial
        assert "hello" in listed.not_ready_reason
        await asyncio.sleep(2)
        assert await running.live_calls() == []
        assert "call placed" not in running.output("dialer")


async def test_services_wait_for_each_other(make_stack: MakeStack) -> None:
    """Started alone, the dialer says whom it waits for and does not end."""
    async with make_stack("dialer", ARI_GATEWAY_ADDRESS=f"127.0.0.1:{free_port()}") as running:

        async def said() -> bool:
            return "waiting" in running.output("dialer")

        await eventually(said, within_s=15, what="the dialer to say whom it waits for")
        assert running.processes["dialer"].returncode is None
