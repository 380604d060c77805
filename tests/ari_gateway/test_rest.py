"""Requests to Asterisk: errors in our words, the password where it belongs."""

from __future__ import annotations

import asyncio
import time

import httpx
import orjson
import pytest

from ari_gateway.ari import errors
from ari_gateway.ari.rest import AriAddress, AriRest, Originate


def client(handler: object) -> AriRest:
    """Make a client whose network is a function."""
    return AriRest(
        AriAddress("http://asterisk/ari", "salehi", "hush", "app"),
        transport=httpx.MockTransport(handler),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(401, json={"error": "no"}), errors.AriUnauthorized),
        (httpx.Response(404, json={"message": "gone"}), errors.AriNotFound),
        (httpx.Response(404, html="<title>404"), errors.AriUnavailable),
        (httpx.Response(409, json={"message": "exists"}), errors.AriConflict),
        (httpx.Response(503, text="Asterisk not booted"), errors.AriUnavailable),
        (httpx.Response(500, json={"message": "Allocation failed"}), errors.AriRefused),
        (httpx.Response(422, text="not json"), errors.AriRefused),
    ],
)
async def test_refusals_are_translated(
    answer: httpx.Response, error: type[errors.AriError]
) -> None:
    """Each kind of refusal has its own error; a 404 in HTML is an Asterisk that is starting."""
    async with client(lambda _: answer) as ari:
        with pytest.raises(error):
            await ari.answer("c1")


async def test_clearing_away_is_repeated_and_dialing_is_not() -> None:
    """A hang-up whose answer is lost is sent again; an originate never is."""
    sent: list[str] = []

    def lose_the_first_two(request: httpx.Request) -> httpx.Response:
        sent.append(request.method)
        if len(sent) < 3:
            raise httpx.ReadError("reset", request=request)
        return httpx.Response(204)

    async with client(lose_the_first_two) as ari:
        await ari.hang_up("c1")
        assert sent == ["DELETE"] * 3
        sent.clear()
        with pytest.raises(errors.AriUnavailable):
            await ari.originate(Originate("id-1", "PJSIP/1@trunk", "", 30, "", {}))
        assert sent == ["POST"]


async def test_a_timeout_is_an_unknown_outcome() -> None:
    """No answer is AriUnavailable: what became of the request is unknown."""

    def hang(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("too slow", request=request)

    async with client(hang) as ari:
        with pytest.raises(errors.AriUnavailable):
            await ari.answer("c1")


async def test_an_originate_carries_its_id_in_the_body() -> None:
    """The channel id, variables and arguments are in the JSON body; nothing secret in the URL."""
    seen: list[httpx.Request] = []

    def keep(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={})

    async with client(keep) as ari:
        await ari.originate(
            Originate(
                "id-1", "PJSIP/1@trunk", "outbound,id-1", 30, "021", {"TALK_DETECT(set)": "700,256"}
            )
        )
    body = orjson.loads(seen[0].content)
    assert (body["channelId"], body["app"], body["timeout"]) == ("id-1", "app", 30)
    assert body["variables"] == {"TALK_DETECT(set)": "700,256"}
    assert seen[0].url.query == b""
    assert seen[0].headers["authorization"].startswith("Basic ")


async def test_how_long_an_originate_took_is_told() -> None:
    """The time Asterisk took for an originate is told, also when it gave no answer."""

    def lose(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("too slow", request=request)

    call = Originate("id-1", "PJSIP/1@trunk", "", 30, "", {})
    told: list[float] = []
    async with client(lambda _: httpx.Response(200, json={})) as ari:
        ari.originate_took = told.append
        await ari.originate(call)
        await ari.hang_up("id-1")
    assert len(told) == 1
    async with client(lose) as ari:
        ari.originate_took = told.append
        with pytest.raises(errors.AriUnavailable):
            await ari.originate(call)
    assert len(told) == 2


async def test_names_cannot_leave_their_place_in_the_path() -> None:
    """A slash in a name is quoted, so that it cannot address something else."""
    paths: list[bytes] = []

    def keep(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.raw_path)
        return httpx.Response(204)

    async with client(keep) as ari:
        await ari.delete_recording("../x/y")
    assert paths == [b"/ari/recordings/stored/..%2Fx%2Fy"]


@pytest.mark.real_time
async def test_an_originate_that_cannot_leave_in_time_never_leaves() -> None:
    """With every connection busy an originate is given up before its moment, and was not sent."""
    received = bytearray()

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(4096):
            received.extend(chunk)
        writer.close()

    server = await asyncio.start_server(never_answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    address = AriAddress(f"http://127.0.0.1:{port}/ari", "u", "p", "app", 5.0, max_connections=1)
    async with AriRest(address) as ari:
        blocking = asyncio.create_task(ari.startup_time())
        while not received:
            await asyncio.sleep(0.01)
        began_s = time.monotonic()
        late = Originate("id-1", "PJSIP/1@trunk", "", 30, "", {}, sent_within_s=0.4)
        with pytest.raises(errors.AriNotSent):
            await ari.originate(late)
        assert time.monotonic() - began_s < 0.4
        blocking.cancel()
        await asyncio.wait({blocking})
    server.close()
    await server.wait_closed()
    assert received.startswith(b"GET ")
    assert b"POST" not in received
