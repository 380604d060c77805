"""Containers killed in mid-campaign, one after another, and started again by the engine."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from compose_support.campaign import Observed, until
from compose_support.project import Project
from lab import troubles
from salehi.calls.v1 import calls_pb2

_OUTLIVED = ("dialer", "reporter", "ari-gateway", "redis", "postgres")
"""Containers whose death costs no call anything."""

_NOTICED = ("speech", "intent", "asterisk")
"""Containers without which calls under way end, each with a reason."""

_EACH = 4
_NOT_ANSWERED = {calls_pb2.CALL_STATE_DIALING, calls_pb2.CALL_STATE_RINGING}
_LED_ON = "connected_to_operator"
_WHOLE = {_LED_ON, "hangup"}
"""How a conversation ends that was led to its end: a reply may have been heard in part, or not."""


async def test_nothing_is_lost_whichever_container_is_killed(project: Project) -> None:
    """Each number is called once, has one result, and is reported once; no call is left."""
    campaign = Observed(project)
    before = {victim: project.restarts(victim) for victim in _OUTLIVED + _NOTICED}
    await _kill_in_turn(project, campaign, _OUTLIVED)
    cut_off = await campaign.unlike(_WHOLE)
    assert not cut_off, cut_off
    led = Counter(of_one[0] for of_one in (await campaign.results()).values())
    assert led[_LED_ON] >= led.total() / 2, led  # they went on, and were not merely let go
    await _kill_in_turn(project, campaign, _NOTICED)
    results = await campaign.results()
    assert sorted(results) == sorted(campaign.numbers.values())
    assert all(len(of_one) == 1 for of_one in results.values()), results
    ended = {of_one[0] for of_one in results.values()} - _WHOLE
    assert all(result.startswith("failed:") for result in ended), ended
    assert await campaign.reports() == dict.fromkeys(campaign.numbers.values(), 1)
    assert campaign.calls() == dict.fromkeys(campaign.numbers.values(), 1)
    assert campaign.channels().startswith("0 active channels")
    for victim, restarts in before.items():
        assert project.restarts(victim) == restarts + 1, victim


async def _kill_in_turn(project: Project, campaign: Observed, victims: Sequence[str]) -> None:
    """Kill each while somebody is in conversation; return when all calls are over."""
    for victim in victims:
        # They say yes again and again, so that a word nobody heard is not the last one.
        first = len(campaign.numbers)
        numbers = [f"09121{n:03}0{troubles.INSISTENT}" for n in range(first, first + _EACH)]
        await campaign.add(*numbers)
        await _in_conversation(campaign, numbers)
        project.kill(victim)
        await asyncio.sleep(1)
        await _well(project, victim)
    await _over(campaign)


async def _in_conversation(campaign: Observed, numbers: Sequence[str]) -> None:
    """Wait until these have all answered, and one at least is still asked."""

    async def talking() -> bool:
        progress = await campaign.progress()
        if progress is None:
            return False
        answered = {
            campaign.numbers[call.contact.panel_number_id]
            for call in progress.calls
            if call.state not in _NOT_ANSWERED
        }
        return answered.union(await campaign.results()) >= set(numbers) and any(
            call.state == calls_pb2.CALL_STATE_ANSWERED for call in progress.calls
        )

    await until(talking, within_s=90, what="all in conversation")


async def _well(project: Project, victim: str) -> None:
    async def well() -> bool:
        return project.is_well(victim)

    await until(well, within_s=90, what=f"{victim} to be well again")


async def _over(campaign: Observed) -> None:
    async def over() -> bool:
        progress = await campaign.progress()
        return (
            progress is not None
            and not progress.calls
            and progress.status.attempts_open == 0
            and progress.status.contacts_waiting == 0
            and all(line.active == 0 for line in progress.status.lines)
            and len(await campaign.results()) == len(campaign.numbers)
            and all((await campaign.reports()).values())
        )

    await until(over, within_s=180, what="the end of the campaign")
    await asyncio.sleep(3)  # a second result would come soon after the first
