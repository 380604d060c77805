"""Requests to Asterisk: errors in our words, and what is sent once and what again."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from ari_gateway.ari import errors
from ari_gateway.ari.rest import AriAddress, AriRest, Originate
from ari_gateway.ari.transport import Answer, Request
from gateway_support.asterisk import answer
from gateway_support.over_http import OverHttp

DONE = answer(204)
HTML = Answer(404, "Not Found", b"<title>404", is_json=False)
WORDS = Answer(422, "Unprocessable Entity", b"not json", is_json=False)


def client(serve: Callable[[Request], Answer]) -> AriRest:
    """Make a client whose network is a function."""
    return AriRest(AriAddress("http://asterisk/ari", "salehi", "hush", "app"), http=OverHttp(serve))


@pytest.mark.parametrize(
    ("refusal", "error"),
    [
        (answer(401, {"error": "no"}), errors.AriUnauthorized),
        (answer(404, {"message": "gone"}), errors.AriNotFound),
        (HTML, errors.AriUnavailable),
        (answer(409, {"message": "exists"}), errors.AriConflict),
        (answer(503), errors.AriUnavailable),
        (answer(500, {"message": "Allocation failed"}), errors.AriRefused),
        (WORDS, errors.AriRefused),
    ],
)
async def test_refusals_are_translated(refusal: Answer, error: type[errors.AriError]) -> None:
    """Each kind of refusal has its own error; a 404 in HTML is an Asterisk that is starting."""
    async with client(lambda _: refusal) as ari:
        with pytest.raises(error):
            await ari.answer("c1")


async def test_clearing_away_is_repeated_and_dialing_is_not() -> None:
    """A hang-up whose answer is lost is sent again; an originate never is."""
    sent: list[str] = []

    def lose_the_first_two(request: Request) -> Answer:
        sent.append(request.method)
        if len(sent) < 3:
            raise errors.AriUnavailable("reset")
        return DONE

    async with client(lose_the_first_two) as ari:
        await ari.hang_up("c1")
        assert sent == ["DELETE"] * 3
        sent.clear()
        with pytest.raises(errors.AriUnavailable):
            await ari.originate(Originate("id-1", "PJSIP/1@trunk", "", 30, "", {}))
        assert sent == ["POST"]


async def test_an_originate_carries_its_id_in_the_body() -> None:
    """The channel id, variables and arguments are in the JSON body; nothing stands in the path."""
    seen: list[Request] = []

    def keep(request: Request) -> Answer:
        seen.append(request)
        return answer(200, {})

    async with client(keep) as ari:
        await ari.originate(
            Originate(
                "id-1", "PJSIP/1@trunk", "outbound,id-1", 30, "021", {"TALK_DETECT(set)": "700,256"}
            )
        )
    assert seen[0].path == "/channels"
    body = orjson.loads(seen[0].content or b"")
    assert (body["channelId"], body["app"], body["timeout"]) == ("id-1", "app", 30)
    assert body["variables"] == {"TALK_DETECT(set)": "700,256"}


async def test_how_long_an_originate_took_is_told() -> None:
    """The time Asterisk took for an originate is told, also when it gave no answer."""

    def lose(_: Request) -> Answer:
        raise errors.AriUnavailable("too slow")

    call = Originate("id-1", "PJSIP/1@trunk", "", 30, "", {})
    told: list[float] = []
    async with client(lambda _: DONE) as ari:
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
    paths: list[str] = []

    def keep(request: Request) -> Answer:
        paths.append(request.path)
        return DONE

    async with client(keep) as ari:
        await ari.delete_recording("../x/y")
    assert paths == ["/recordings/stored/..%2Fx%2Fy"]
