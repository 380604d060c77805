"""Asterisk's link lost in every way, and an Asterisk that answers badly."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import pytest

from e2e_support import lab, short_prompts
from e2e_support.ari_proxy import AriProxy, ari_proxy
from e2e_support.clean import call, clean
from e2e_support.stack import ROOM, MakeStack, Stack
from e2e_support.understanding import understanding
from lab import troubles

_STALL_NOTICED_S = 20
_ANSWERED_WITHIN_S = 0.9
_RECORDINGS = lab.PATHS.asterisk_dir / "spool/recording"
_SMALL_DISK_BYTES = 65_536
_SILENT = "05"


@asynccontextmanager
async def behind_a_proxy(
    make_stack: MakeStack, **settings: str
) -> AsyncIterator[tuple[Stack, AriProxy]]:
    """Run reporter, gateway and dialer with short prompts, the gateway behind a proxy."""
    async with (
        understanding(0.3) as ears,
        ari_proxy() as proxy,
        make_stack(
            "reporter",
            "ari-gateway",
            "dialer",
            ORIGINATION_TIMEOUT="30",
            ORIGINATE_SPACING="0",
            **ROOM,
            **short_prompts.settings(),
            **ears.settings,
            **proxy.settings,
            **settings,
        ) as running,
    ):
        await running.ready()
        yield running, proxy


async def comes(moment: asyncio.Future[None], what: str, *, within_s: float = 40) -> None:
    """Wait for a moment of a call; fail when it does not come."""
    await asyncio.wait({moment}, timeout=within_s)
    assert moment.done(), f"not within {within_s} s: {what}"


async def test_calls_outlive_every_loss_of_the_link(make_stack: MakeStack) -> None:
    """Closed, reset and stalled in one verb after the other, the link comes back to its calls."""
    contacts = [f"09120001{n}{troubles.RINGS_LONG}" for n in range(1, 4)]
    async with behind_a_proxy(make_stack, STATIC_CONTACTS=",".join(contacts)) as (running, proxy):
        await comes(proxy.seen(r"^Dial \S+ RINGING", times=3), "three ringing phones")
        proxy.reset()
        for pattern, lose in (
            (r"^PlaybackStarted \S+-p0 ", proxy.close_cleanly),
            (r"^RecordingStarted ", proxy.reset),
            (r"^PlaybackStarted \S+-p1 ", proxy.stall),
            (r"^PlaybackStarted \S+-h1", proxy.close_cleanly),
            (r"^ChannelEnteredBridge ", proxy.reset),
        ):
            # All have answered before nobody is there to hear them answer.
            times = 3 if "p0" in pattern else 1
            await comes(proxy.seen(pattern, times=times), pattern)
            back = proxy.seen(r"^GET /asterisk/info")
            lost_s = time.monotonic()
            lose()
            await comes(back, f"the link back after {lose.__name__}", within_s=30)
            assert time.monotonic() - lost_s < _STALL_NOTICED_S
        results = await running.have_results(3, within_s=60)
        assert results == ["connected_to_operator"] * 3
        await answers_unheard(running, proxy)
        assert await running.have_results(4, within_s=20) == [*results, "failed:link_lost"]
        await clean(running)


async def test_an_answer_lost_with_the_link_is_found(make_stack: MakeStack) -> None:
    """A customer's and an operator's answer that are lost, and the link with them, are found."""
    async with behind_a_proxy(make_stack) as (running, proxy):
        number = f"091200018{troubles.INSISTENT}"
        answers = [
            proxy.lose_with_link(rf"^StasisStart \d*{number[1:]}{leg}( |$)")
            for leg in ("", "-operator-0")
        ]
        rung_again = proxy.seen(r"^Dial \S+-operator-1 ")
        await call(running, number)
        for answer in answers:
            await comes(answer, "an answer")
        assert await running.have_results(1, within_s=30) == ["connected_to_operator"]
        assert not rung_again.done()
        await clean(running)


async def answers_unheard(running: Stack, proxy: AriProxy) -> None:
    """Lose the link while a phone rings, and have it back when somebody has answered in vain."""
    rings = proxy.seen(rf"^Dial \d+{troubles.INSISTENT} RINGING")
    await call(running, f"091200017{troubles.INSISTENT}")
    await comes(rings, "a phone that rings")
    proxy.keep_out(for_s=_ANSWERED_WITHIN_S)
    proxy.close_cleanly()


# What Asterisk answers to one request of a call, and what the call comes to; the calls are led at
# the same time, each with its own fault.
_BAD_ANSWERS = (
    (r"^POST /channels PJSIP/{}", 503, "failed:originate_lost"),
    (r"^POST /channels PJSIP/{}", 500, "failed:trunk_unreachable"),
    (r"^POST /channels/{}/play", 500, "failed:asterisk_refused"),
    (r"^POST /channels/{}/record", 503, "connected_to_operator"),
    (r"^POST /recordings/live/{}-r0/stop", 500, "failed:asterisk_refused"),
    (r"^GET /recordings/stored/{}-r0/file", 503, "connected_to_operator"),  # it is asked again
    (r"^POST /bridges/{}-bridge\?", 500, "failed:asterisk_refused"),
    (r"^DELETE /channels/{}", 503, "connected_to_operator"),  # again
)
_RIDDLES = ('{"type": "NeverHeardOf", "channel": 7}', '{"type": "StasisEnd"}', "{", "7")
# The customer leaves in the moment in which the operator …
_MOMENTS = (
    r"^StasisStart {}-operator-",
    r"^POST /bridges/{}-bridge\?",
    r"^POST /bridges/{}-bridge/addChannel",
)


async def test_a_fault_of_asterisk_costs_one_call_at_most(make_stack: MakeStack) -> None:
    """What is refused, late or a riddle, or a customer gone as the operator answers: one call."""
    async with behind_a_proxy(make_stack) as (running, proxy):
        bad = {f"0912000{n}3{troubles.INSISTENT}": answer for n, answer in enumerate(_BAD_ANSWERS)}
        faults = [
            proxy.spoil(pattern.format(rf"\d*{number[1:]}"), status=status)
            for number, (pattern, status, _) in bad.items()
        ]
        late = f"091200014{troubles.INSISTENT}"
        faults.append(proxy.spoil(rf"^POST /channels/\d*{late[1:]}/", late_s=1.0, times=3))
        leaving = {f"0912000{n}5{troubles.INSISTENT}": at for n, at in enumerate(_MOMENTS)}
        async with asyncio.TaskGroup() as customers:
            for number, pattern in leaving.items():
                moment = proxy.seen(pattern.format(rf"\d*{number[1:]}"))
                customers.create_task(leaves_at(moment, proxy, number))
            await call(running, *bad, late, *leaving)
            await comes(proxy.seen(r"^PlaybackStarted \S+-p0 "), "hello")
            for riddle in _RIDDLES:
                proxy.add_frame(riddle)
        count = len(bad) + 1 + len(leaving)
        await running.have_results(count, within_s=60)
        results = {"0" + r.report.contact.number[3:]: r.result for r in await running.results()}
        assert {number: results[number] for number in bad} == {
            number: result for number, (_, _, result) in bad.items()
        }
        assert results[late] == "connected_to_operator"
        assert {results[number] for number in leaving} <= {"disconnected", "connected_to_operator"}
        assert [fault.times for fault in faults] == [0] * len(faults)
        await clean(running)


async def leaves_at(moment: asyncio.Future[None], proxy: AriProxy, number: str) -> None:
    """End a customer's channel in a moment of the call, as a hang-up would."""
    await comes(moment, "an operator who answers")
    async with lab.ari() as asterisk:
        await asterisk.delete(f"/channels/{proxy.attempt_of(number[1:])}")


@contextmanager
def a_prompt_away(name: str) -> Iterator[None]:
    """Take a prompt away for a while."""
    prompt = lab.PATHS.sound_dir / "short/en" / f"{name}.alaw"
    audio = prompt.read_bytes()
    prompt.unlink()
    try:
        yield
    finally:
        prompt.write_bytes(audio)


@contextmanager
def no_right_to_record() -> Iterator[None]:
    """Let Asterisk write no recording for a while."""
    mode = _RECORDINGS.stat().st_mode
    _RECORDINGS.chmod(0o555)
    try:
        yield
    finally:
        _RECORDINGS.chmod(mode)


@contextmanager
def full_disk_for_recordings() -> Iterator[None]:
    """Give Asterisk's recordings a disk of their own for a while, without room.

    Skips where nothing may be mounted, as in a container without that privilege.
    """
    options = f"size={_SMALL_DISK_BYTES},mode=0777"
    mount = ("mount", "-t", "tmpfs", "-o", options, "recordings", str(_RECORDINGS))
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted: {mounted.stderr.strip()}")
    try:
        (_RECORDINGS / "other things").write_bytes(bytes(_SMALL_DISK_BYTES))
        yield
    finally:
        subprocess.run(("umount", "--lazy", str(_RECORDINGS)), check=True)


async def test_a_full_disk_costs_the_calls_that_need_it(make_stack: MakeStack) -> None:
    """Without room for recordings a call fails, said anything or not; with room the next works."""
    async with behind_a_proxy(make_stack) as (running, _):
        with full_disk_for_recordings():
            await call(running, f"091200062{troubles.INSISTENT}", f"091200062{_SILENT}")
            assert await running.have_results(2, within_s=20) == ["failed:recording_failed"] * 2
        await clean(running)


async def test_a_house_in_disorder_loses_one_call(make_stack: MakeStack) -> None:
    """A prompt taken away, or a directory locked, ends one call; put right, the next works."""
    async with behind_a_proxy(make_stack) as (running, _):
        with no_right_to_record():
            await call(running, f"091200060{troubles.INSISTENT}")
            assert await running.have_results(1, within_s=20) == ["failed:recording_failed"]
        with a_prompt_away("yes"):
            await call(running, f"091200061{troubles.INSISTENT}")
            results = await running.have_results(2, within_s=20)
            assert results == ["failed:prompt_missing", "failed:recording_failed"]
        await running.ready()
        await clean(running)
