"""What the gateway counts of calls while they live."""

from __future__ import annotations

import uuid
from dataclasses import replace

from prometheus_client import REGISTRY

from ari_gateway.sessions.plan import Person
from gateway_support.asterisk import FarEnd
from gateway_support.house import house, plan_of


def figure(name: str, **labels: str) -> float:
    """Give a figure as it stands; 0 for one that was never counted."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_calls_are_counted_on_their_line() -> None:
    """A line's call is live until it ends, and its originate is counted once."""
    plan = replace(plan_of(str(uuid.uuid4())), line="7001")
    async with house(FarEnd(refuses=17)) as here:
        await here.manager.place(plan)
        assert figure("salehi_line_calls_live", line="7001") == 1
        await here.ended(plan.attempt_id)
        assert figure("salehi_line_calls_live", line="7001") == 0
    assert figure("salehi_line_originates_total", line="7001") == 1


async def test_an_originate_that_asterisk_refuses_is_not_counted() -> None:
    """What never left counts against no limit."""
    plan = replace(plan_of(str(uuid.uuid4())), line="7002")
    async with house(FarEnd()) as here:
        here.asterisk.failing["POST", "/channels"] = 500
        await here.manager.place(plan)
        await here.ended(plan.attempt_id)
    assert figure("salehi_line_originates_total", line="7002") == 0


async def test_a_number_called_twice_at_once_is_counted() -> None:
    """Two calls to different people are none; a third to one of them is one duplicate."""
    before = figure("salehi_duplicate_dials_total")
    people = (Person("file", "+989120000001"), Person("file", "+989120000002"))
    plans = [replace(plan_of(str(uuid.uuid4())), person=person) for person in (*people, people[0])]
    counted = []
    async with house(FarEnd(refuses=17)) as here:
        for plan in plans:
            await here.manager.place(plan)
            counted.append(figure("salehi_duplicate_dials_total") - before)
        for plan in plans:
            await here.ended(plan.attempt_id)
    assert counted == [0, 0, 1]


async def test_why_somebody_ends_a_call_is_no_label() -> None:
    """The free text of a request to hang up is counted under one word, and is in the result."""
    before = figure("salehi_call_failures_total", reason="ended_on_request")
    async with house(FarEnd()) as here:
        plan = plan_of(str(uuid.uuid4()))
        await here.manager.place(plan)
        assert here.manager.hang_up(plan.attempt_id, "the boss said so")
        ended = await here.ended(plan.attempt_id)
    assert ended.outcome.reason == "the boss said so"
    assert figure("salehi_call_failures_total", reason="ended_on_request") == before + 1
    assert figure("salehi_call_failures_total", reason="the boss said so") == 0


async def test_a_dialing_that_the_network_fails_is_counted_by_its_reason() -> None:
    """A full network counts as a failed call, a busy phone does not."""
    before = figure("salehi_call_failures_total", reason="congestion")
    for cause in (34, 17):
        async with house(FarEnd(refuses=cause)) as here:
            plan = plan_of(str(uuid.uuid4()))
            await here.manager.place(plan)
            await here.ended(plan.attempt_id)
    assert figure("salehi_call_failures_total", reason="congestion") == before + 1
    assert figure("salehi_call_failures_total", reason="busy") == 0
