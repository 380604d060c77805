"""mTLS between services: who is served, and certificates that are renewed meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from salehi.intent.v1 import intent_pb2, intent_pb2_grpc
from servicekit.channel import Peer
from servicekit.cli import channel_to
from servicekit.errors import StartupError
from servicekit.server import GrpcServer, GrpcService
from servicekit.settings import ServiceSettings, load_settings
from servicekit.tls import TlsFiles, channel_credentials
from support.certificates import Authority, exchange

NAME = "salehi.intent.v1.IntentService"
pytestmark = pytest.mark.real_time


class Servicer(intent_pb2_grpc.IntentServiceServicer):
    """Answers; a call with the text `wait` only when it is let go."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.let_go = asyncio.Event()

    async def Classify(  # noqa: N802
        self, request: intent_pb2.ClassifyRequest, _: aio.ServicerContext[Any, Any]
    ) -> intent_pb2.ClassifyResponse:
        """Answer one request."""
        if request.text == "wait":
            self.began.set()
            await self.let_go.wait()
        return intent_pb2.ClassifyResponse(intent=intent_pb2.INTENT_YES)


@asynccontextmanager
async def served(
    tls: TlsFiles, servicer: Servicer | None = None, port: int = 0
) -> AsyncIterator[tuple[GrpcServer, str]]:
    """Serve on a port, or on a free one."""
    add = intent_pb2_grpc.add_IntentServiceServicer_to_server
    server = GrpcServer([GrpcService(NAME, add, servicer or Servicer())], tls)
    bound = await server.start("127.0.0.1", port, "TEST_PORT")
    try:
        yield server, f"127.0.0.1:{bound}"
    finally:
        await server.drain(0)


async def classify(channel: Any, text: str = "yes") -> None:
    """Ask once, by a stub of its own."""
    stub = intent_pb2_grpc.IntentServiceStub(channel)
    answer = await stub.Classify(intent_pb2.ClassifyRequest(text=text), timeout=10)
    assert answer.intent == intent_pb2.INTENT_YES


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """A CA."""
    return Authority.make(tmp_path / "ca")


async def test_services_of_one_ca_talk(authority: Authority, tmp_path: Path) -> None:
    """Two services with certificates of one CA reach each other."""
    ours, theirs = authority.issue(tmp_path / "ours"), authority.issue(tmp_path / "theirs")
    async with served(theirs) as (_, address), Peer(address, NAME, tls=ours) as peer:
        await peer.wait_ready()
        await classify(peer.channel)


async def test_callers_without_a_certificate_of_the_ca_are_refused(
    authority: Authority, tmp_path: Path
) -> None:
    """Plain text, no certificate, and another CA's certificate all get no answer."""
    stranger = Authority.make(tmp_path / "other").issue(tmp_path / "stranger")
    ours = authority.issue(tmp_path / "ours")
    ca = ours.ca.read_bytes()
    strangers = channel_credentials(stranger.read())
    mixed = grpc.ssl_channel_credentials(ca, stranger.key.read_bytes(), stranger.cert.read_bytes())
    async with served(ours) as (_, address):
        for credentials in (None, grpc.ssl_channel_credentials(ca), strangers, mixed):
            channel = (
                aio.secure_channel(address, credentials)
                if credentials
                else aio.insecure_channel(address)
            )
            async with channel:
                with pytest.raises(aio.AioRpcError) as refused:
                    await classify(channel)
                assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
        async with Peer(address, NAME, tls=ours) as peer:
            await classify(peer.channel)


async def test_renewed_certificates_are_taken_without_a_restart(
    authority: Authority, tmp_path: Path
) -> None:
    """Calls before, across and after a change of the CA all end as if nothing had happened."""
    ours, theirs = authority.issue(tmp_path / "ours"), authority.issue(tmp_path / "theirs")
    servicer = Servicer()
    async with served(theirs, servicer) as (_, address), Peer(address, NAME, tls=ours) as peer:
        stub = intent_pb2_grpc.IntentServiceStub(peer.channel)
        long = asyncio.ensure_future(classify(peer.channel, "wait"))
        await servicer.began.wait()
        successor = Authority.make(tmp_path / "successor")
        successor.issue(tmp_path / "ours")
        successor.issue(tmp_path / "theirs")
        await stub.Classify(intent_pb2.ClassifyRequest(text="yes"), timeout=10)
        servicer.let_go.set()
        await long
        last = successor.issue(tmp_path / "last")
        async with Peer(address, NAME, tls=last) as other:  # who knows the new CA alone
            await classify(other.channel)


async def test_a_caller_shows_its_renewed_certificate(authority: Authority, tmp_path: Path) -> None:
    """A server that knows the new CA alone is reached by a stub that was made before."""
    ours, theirs = authority.issue(tmp_path / "ours"), authority.issue(tmp_path / "theirs")
    async with served(theirs) as (_, address):
        peer = Peer(address, NAME, tls=ours)
        stub = intent_pb2_grpc.IntentServiceStub(peer.channel)
        await stub.Classify(intent_pb2.ClassifyRequest(text="yes"), timeout=10)
    successor = Authority.make(tmp_path / "successor")
    successor.issue(tmp_path / "ours")
    renewed = successor.issue(tmp_path / "theirs")
    async with peer, served(renewed, port=int(address.rpartition(":")[2])):
        request = intent_pb2.ClassifyRequest(text="yes")
        await stub.Classify(request, timeout=10, wait_for_ready=True)


async def test_an_old_channel_is_closed_after_its_last_call(
    authority: Authority, tmp_path: Path
) -> None:
    """After a renewal there are two connections until the calls of the old one have ended."""
    ours, theirs = authority.issue(tmp_path / "ours"), authority.issue(tmp_path / "theirs")
    servicer = Servicer()
    async with served(theirs, servicer) as (_, address), Peer(address, NAME, tls=ours) as peer:
        long = asyncio.ensure_future(classify(peer.channel, "wait"))
        await servicer.began.wait()
        authority.issue(tmp_path / "ours")
        await classify(peer.channel)
        assert connections(address) == 2
        servicer.let_go.set()
        await long
        async with asyncio.timeout(20):
            while connections(address) != 1:
                await asyncio.sleep(0.01)
        await classify(peer.channel)


def connections(address: str) -> int:
    """Count the connections a server on this machine has."""
    port = f":{int(address.rpartition(':')[2]):04X}"
    files = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))  # gRPC listens on ::ffff:127.0.0.1
    rows = [line.split() for file in files for line in file.read_text("ascii").splitlines()[1:]]
    return sum(row[1].endswith(port) and row[3] == "01" for row in rows)  # 01: established


async def test_a_broken_renewal_changes_nothing(authority: Authority, tmp_path: Path) -> None:
    """Files that cannot be used leave the old ones in use, on both sides, until whole ones come."""
    ours, theirs = authority.issue(tmp_path / "ours"), authority.issue(tmp_path / "theirs")
    async with served(theirs) as (_, address), Peer(address, NAME, tls=ours) as peer:
        await classify(peer.channel)
        for name in ("ours", "theirs"):
            broken = tmp_path / name / "..broken"
            broken.mkdir()
            for file in ("tls.crt", "tls.key", "ca.crt"):
                (broken / file).write_text("no PEM")
            exchange(tmp_path / name, broken)
        await classify(peer.channel)
        async with Peer(address, NAME, tls=authority.issue(tmp_path / "new")) as another:
            await classify(another.channel)
        successor = Authority.make(tmp_path / "successor")
        successor.issue(tmp_path / "ours")
        successor.issue(tmp_path / "theirs")
        await classify(peer.channel)


async def test_streams_outlive_a_renewal(authority: Authority, tmp_path: Path) -> None:
    """An open stream of the old channel goes on after the certificate was renewed."""
    ours, theirs = authority.issue(tmp_path / "ours"), authority.issue(tmp_path / "theirs")
    async with served(theirs) as (server, address), Peer(address, NAME, tls=ours) as peer:
        health: Any = health_pb2_grpc.HealthStub(peer.channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=NAME))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        authority.issue(tmp_path / "ours")
        await classify(peer.channel)
        await server.set_serving(serving=False)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()


async def test_files_that_cannot_be_used_are_named(authority: Authority, tmp_path: Path) -> None:
    """A missing file, or a key of another certificate, is a line with the settings' names."""
    good, other = authority.issue(tmp_path / "good"), authority.issue(tmp_path / "other")
    for files in (
        TlsFiles(good.cert, tmp_path / "nothing", good.ca),
        TlsFiles(good.cert, other.key, good.ca),
        TlsFiles(good.cert, good.key, good.key),
    ):
        with pytest.raises(StartupError, match=r"GRPC_TLS_CERT=.* cannot be used"):
            GrpcServer([], files)
        with pytest.raises(StartupError, match=r"GRPC_TLS_CERT=.* cannot be used"):
            Peer("127.0.0.1:1", NAME, tls=files)


def test_tls_is_set_as_a_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One or two of the three files are refused in a line that names a missing one."""
    monkeypatch.chdir(tmp_path)
    assert load_settings(ServiceSettings).tls is None
    monkeypatch.setenv("GRPC_TLS_CERT", "a.crt")
    with pytest.raises(StartupError, match="GRPC_TLS_KEY is not set"):
        load_settings(ServiceSettings)
    monkeypatch.setenv("GRPC_TLS_KEY", "a.key")
    with pytest.raises(StartupError, match="GRPC_TLS_CA is not set"):
        load_settings(ServiceSettings)
    monkeypatch.setenv("GRPC_TLS_CA", "ca.crt")
    assert load_settings(ServiceSettings).tls == TlsFiles(
        Path("a.crt"), Path("a.key"), Path("ca.crt")
    )


async def test_health_is_told_in_plain_text_until_the_end_of_the_drain(
    authority: Authority, tmp_path: Path
) -> None:
    """A probe without TLS learns on its port that the service drains, and that the process lives."""  # noqa: E501
    files = authority.issue(tmp_path / "ours")
    servicer = Servicer()
    async with served(files, servicer) as (server, address), Peer(address, NAME, tls=files) as peer:
        port = await server.start_health("127.0.0.1", 0, "HEALTH_PORT")
        async with aio.insecure_channel(f"127.0.0.1:{port}") as plain:
            health: Any = health_pb2_grpc.HealthStub(plain)

            async def status(service: str) -> str:
                answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
                return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)

            assert await status(NAME) == "SERVING"
            long = asyncio.ensure_future(classify(peer.channel, "wait"))
            await servicer.began.wait()
            draining = asyncio.ensure_future(server.drain(10))
            while await status(NAME) == "SERVING":
                await asyncio.sleep(0.01)
            assert await status("") == "SERVING"
            servicer.let_go.set()
            await long
            await draining


async def test_a_taken_health_port_is_named(authority: Authority, tmp_path: Path) -> None:
    """A taken HEALTH_PORT is a line that names it."""
    files = authority.issue(tmp_path / "ours")
    async with served(files) as (server, address):
        with pytest.raises(StartupError, match="HEALTH_PORT="):
            await server.start_health("127.0.0.1", int(address.rpartition(":")[2]), "HEALTH_PORT")


async def test_commands_speak_tls_where_the_services_do(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command line that has the services' settings reaches a service on this machine."""
    files = authority.issue(tmp_path / "ours", "DNS:localhost")
    monkeypatch.chdir(tmp_path)
    for name, path in (("CERT", files.cert), ("KEY", files.key), ("CA", files.ca)):
        monkeypatch.setenv(f"GRPC_TLS_{name}", str(path))

    def command(address: str) -> int:
        with channel_to(address) as channel:
            stub = intent_pb2_grpc.IntentServiceStub(channel)
            answer = stub.Classify(intent_pb2.ClassifyRequest(text="yes"), timeout=10)
        return int(answer.intent)

    async with served(files) as (_, address):
        assert await asyncio.to_thread(command, address) == intent_pb2.INTENT_YES
