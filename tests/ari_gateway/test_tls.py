"""Asterisk over TLS: whose certificate is believed, and what is said of one that is not."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from ari_gateway.ari import events as ev
from ari_gateway.ari.errors import AriNotSent, AriUntrusted
from ari_gateway.ari.link import EventLink, LinkAddress, LinkHandlers
from ari_gateway.ari.rest import AriAddress, AriRest, Originate
from ari_gateway.ari.tls import believing
from ari_gateway.asterisk import wait_for_asterisk
from ari_gateway.settings import GatewaySettings
from servicekit.errors import StartupError
from servicekit.settings import load_settings
from support.certificates import Authority

pytestmark = pytest.mark.real_time

TALKING = {"type": "ChannelTalkingStarted", "channel": {"id": "c1"}}
INFO = {"status": {"startup_time": "long ago"}}


@dataclass(frozen=True)
class Shown:
    """A certificate that a PBX shows, and what vouches for it; all PEM files."""

    cert: Path
    key: Path
    vouches: Path


@dataclass
class Pbx:
    """Asterisk's HTTP server: one question about itself, and the events."""

    tls: ssl.SSLContext
    port: int = 0
    heard: list[str] = field(default_factory=list)
    links: list[ServerConnection] = field(default_factory=list)

    def show(self, shown: Shown) -> None:
        """Have the next connections see this certificate."""
        self.tls.load_cert_chain(shown.cert, shown.key)

    def check(self, socket: ServerConnection, request: Request) -> Response | None:
        """Answer a request that is none for events."""
        self.heard.append(request.headers["Authorization"])
        is_link = request.path.startswith("/ari/events")
        return None if is_link else socket.respond(200, json.dumps(INFO))

    async def talk(self, socket: ServerConnection) -> None:
        """Send one event, and stay."""
        self.links.append(socket)
        await socket.send(json.dumps(TALKING))
        await socket.wait_closed()


@asynccontextmanager
async def serving(shown: Shown) -> AsyncIterator[Pbx]:
    """Serve HTTP and events over TLS on a free port."""
    pbx = Pbx(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    pbx.show(shown)
    async with serve(pbx.talk, "127.0.0.1", 0, process_request=pbx.check, ssl=pbx.tls) as server:
        pbx.port = server.sockets[0].getsockname()[1]
        yield pbx


def rest(pbx: Pbx, ca_file: Path | None, host: str = "localhost") -> AriRest:
    """Make the client of requests."""
    url = f"https://{host}:{pbx.port}/ari"
    return AriRest(AriAddress(url, "salehi", "hush", "app1", 5, tls=believing(ca_file)))


@asynccontextmanager
async def linked(
    pbx: Pbx, ca_file: Path | None, host: str = "localhost"
) -> AsyncIterator[tuple[asyncio.Queue[ev.Event], asyncio.Task[None]]]:
    """Keep a link; give what is heard over it, and its task."""
    events: asyncio.Queue[ev.Event] = asyncio.Queue()

    async def up() -> None:
        pass

    url = f"wss://{host}:{pbx.port}/ari/events"
    address = LinkAddress(url, "salehi", "hush", "app1", 5, tls=believing(ca_file))
    handlers = LinkHandlers(up, lambda: None, events.put_nowait)
    task = asyncio.create_task(EventLink(address, handlers).run())
    try:
        yield events, task
    finally:
        task.cancel()
        await asyncio.wait({task})


def of_a_ca(home: Path, names: str = "DNS:localhost") -> Shown:
    """Give a certificate of a private CA that vouches for it."""
    issued = Authority.make(home / "ca").issue(home / "pbx", names)
    return Shown(issued.cert, issued.key, issued.ca)


def its_own_copy(home: Path) -> Shown:
    """Give a certificate of a private CA that is vouched for by its copy alone."""
    shown = of_a_ca(home)
    return Shown(shown.cert, shown.key, shown.cert)


def as_a_pbx_makes_it(home: Path, *, days: int = 10) -> Shown:
    """Give one as PBXs make them: version 1, a common name alone, its CA named as itself."""
    subject = ("-subj", "/CN=localhost/O=localhost")
    ca, request, cert = home / "own-ca.crt", home / "own.csr", home / "own.crt"
    made = ("-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    _openssl("req", *made, *subject, "-keyout", home / "own-ca.key", "-out", ca)
    _openssl("req", "-new", *made[1:], *subject, "-keyout", home / "own.key", "-out", request)
    _openssl(
        *("x509", "-req", "-days", str(days), "-in", request, "-out", cert),
        *("-CA", ca, "-CAkey", home / "own-ca.key", "-set_serial", "1"),
    )
    return Shown(cert, home / "own.key", cert)


def strangers(home: Path) -> Path:
    """Give the CA of somebody else."""
    return Authority.make(home / "strangers").directory / "ca.crt"


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, timeout=20)


@pytest.fixture(params=[False, True], ids=["this Python", "strict"])
def strict(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Python's defaults be those of 3.13, too."""
    create = ssl.create_default_context

    def stricter(*, cafile: Path | None = None) -> ssl.SSLContext:
        context = create(cafile=cafile)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    if request.param:
        monkeypatch.setattr(ssl, "create_default_context", stricter)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("make", [of_a_ca, its_own_copy, as_a_pbx_makes_it])
async def test_requests_and_events_come_over_tls(
    make: Callable[[Path], Shown], tmp_path: Path
) -> None:
    """With its CA, or its own copy, in ARI_CA_FILE a PBX is reached, whatever Python's defaults."""
    shown = make(tmp_path)
    async with serving(shown) as pbx:
        async with rest(pbx, shown.vouches) as ari:
            assert await ari.startup_time() == "long ago"
        async with linked(pbx, shown.vouches) as (events, _):
            assert await asyncio.wait_for(events.get(), 10) == ev.TalkingStarted("c1")


@dataclass(frozen=True)
class Refused:
    """A certificate that is not believed: how it is reached, and what the user is told."""

    make: Callable[[Path], Shown]
    says: str
    host: str = "localhost"
    is_vouched_for: bool = True


@pytest.mark.parametrize(
    "case",
    [
        Refused(of_a_ca, r"unable to get local issuer.*ARI_CA_FILE$", is_vouched_for=False),
        Refused(as_a_pbx_makes_it, r"self-signed.*ARI_CA_FILE$", is_vouched_for=False),
        Refused(of_a_ca, r"IP address mismatch.*the name that stands in", host="127.0.0.1"),
        Refused(lambda home: of_a_ca(home, "DNS:pbx"), r"Hostname mismatch.*the name that stands"),
        Refused(lambda home: as_a_pbx_makes_it(home, days=-1), r"has expired\): renew it"),
    ],
    ids=["another CA", "unknown", "by address", "another name", "expired"],
)
async def test_a_certificate_that_is_not_believed_is_one_line(
    case: Refused, tmp_path: Path
) -> None:
    """It ends the start and says what to do; nothing is dialled, and no password was sent."""
    shown = case.make(tmp_path)
    trusted = shown.vouches if case.is_vouched_for else strangers(tmp_path)
    async with serving(shown) as pbx:
        async with rest(pbx, trusted, case.host) as ari:
            with pytest.raises(StartupError, match=case.says) as line:
                await wait_for_asterisk(ari, base_url="https://pbx", username="u", wait_s=20)
            with pytest.raises(AriNotSent):
                await ari.originate(Originate("c1", "PJSIP/1@trunk", "", 5, "021", {}))
        assert str(line.value).startswith("ARI_BASE_URL=https://pbx: its certificate is refused (")
        assert "\n" not in str(line.value)
        async with linked(pbx, trusted, case.host) as (_, task):
            with pytest.raises(AriUntrusted, match=case.says):
                await asyncio.wait_for(asyncio.shield(task), 10)
        assert pbx.heard == []


async def test_without_a_file_a_private_ca_is_not_believed(tmp_path: Path) -> None:
    """Without ARI_CA_FILE the system's CAs decide, and the line names the setting."""
    async with serving(of_a_ca(tmp_path)) as pbx, rest(pbx, None) as ari:
        with pytest.raises(AriUntrusted, match="in ARI_CA_FILE"):
            await ari.startup_time()


async def test_a_link_comes_back_once_the_certificate_is_right_again(tmp_path: Path) -> None:
    """A certificate that goes bad later is told in the log, and does not end the gateway."""
    shown = of_a_ca(tmp_path)
    async with serving(shown) as pbx, linked(pbx, shown.vouches) as (events, _):
        await asyncio.wait_for(events.get(), 10)
        with capture_logs() as logged:
            pbx.show(as_a_pbx_makes_it(tmp_path))
            await pbx.links[0].close()
            async with asyncio.timeout(10):
                while not any("certificate" in entry.get("reason", "") for entry in logged):
                    await asyncio.sleep(0.01)
        pbx.show(shown)
        assert await asyncio.wait_for(events.get(), 10) == ev.TalkingStarted("c1")


@pytest.mark.parametrize("kind", ["missing", "a directory", "no PEM", "a key"])
def test_a_file_that_cannot_be_used_is_named(kind: str, tmp_path: Path) -> None:
    """A file that is not there, or holds no certificate, is one line that says what to name."""
    file = tmp_path / "ca.pem"
    if kind == "a directory":
        file.mkdir()
    elif kind == "no PEM":
        file.write_bytes(b"\x30\x82 not text")
    elif kind == "a key":
        file = of_a_ca(tmp_path).key
    with pytest.raises(StartupError) as line:
        believing(file)
    assert str(line.value).startswith(f"ARI_CA_FILE={file} cannot be used (")
    assert "name a readable PEM file" in str(line.value)
    assert "\n" not in str(line.value)


@pytest.mark.parametrize(
    ("base_url", "ws_url", "named"),
    [
        ("http://pbx:8088/ari", "wss://pbx:8089/ari/events", "ARI_BASE_URL=http://pbx:8088/ari"),
        ("https://pbx:8089/ari", "ws://pbx:8088/ari/events", "ARI_WS_URL=ws://pbx:8088/ari/events"),
        ("https://pbx:8089/ari", "wss://pbx:8089/ari/events", None),
    ],
)
def test_a_ca_without_tls_is_refused(
    base_url: str,
    ws_url: str,
    named: str | None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """Whoever sets ARI_CA_FILE believes that all is encrypted; where something is not, it is said."""  # noqa: E501
    monkeypatch.chdir(tmp_path)
    for name, value in (
        ("ARI_PASSWORD", "hush"),
        ("ARI_CA_FILE", "ca.pem"),
        ("ARI_BASE_URL", base_url),
        ("ARI_WS_URL", ws_url),
    ):
        monkeypatch.setenv(name, value)
    if named is None:
        assert load_settings(GatewaySettings).ari_ca_file == Path("ca.pem")
        return
    with pytest.raises(StartupError, match=f"{named} is not encrypted: write") as line:
        load_settings(GatewaySettings)
    assert "\n" not in str(line.value)
