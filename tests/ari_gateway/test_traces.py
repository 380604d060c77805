"""What a call leaves in its trace, however it ends and whoever leads it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ari_gateway.service import CallServicer
from ari_gateway.sessions import call, manager, turns
from ari_gateway.sessions.adoption import take_over
from ari_gateway.sessions.outcome import Intent
from gateway_support.asterisk import FarEnd
from gateway_support.house import CUSTOMER, House, house, plan_of
from salehi.calls.v1 import calls_pb2
from servicekit import tracing

POSITION = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
PARENT_ID = 0xB7AD6B7169203331


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Trace into memory; give what was traced."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(tracing.AttemptNamer())
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for module in (call, manager, turns, tracing):
        monkeypatch.setattr(module, "tracer", provider.get_tracer("test"))
    return exporter


def named(exported: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    """Give the spans of a name, in the order they ended."""
    return [span for span in exported.get_finished_spans() if span.name == name]


def names_below(exported: InMemorySpanExporter, parent: ReadableSpan) -> list[str]:
    """Name the children of a span, in the order they ended."""
    assert parent.context is not None
    return [
        span.name
        for span in exported.get_finished_spans()
        if parent_id(span) == parent.context.span_id
    ]


def parent_id(span: ReadableSpan) -> int:
    """Give the id of a span's parent; 0 for a root."""
    return span.parent.span_id if span.parent else 0


async def traced_call(here: House) -> str:
    """Place a call in a trace and wait for its end; give its attempt."""
    attempt_id = str(uuid.uuid4())
    await here.manager.place(replace(plan_of(attempt_id), traceparent=POSITION))
    await here.ended(attempt_id)
    return attempt_id


@asynccontextmanager
async def next_house(old: House, *replies: Intent) -> AsyncIterator[House]:
    """Kill a gateway and have another one take over."""
    await old.dies()
    async with (
        house(FarEnd(), *replies, ledger=old.ledger, asterisk=old.asterisk) as new,
        new.rest() as ari,
    ):
        await take_over(new.manager, ari, new.ledger)
        yield new


async def test_an_inbound_calls_trace_outlives_its_gateway(exported: InMemorySpanExporter) -> None:
    """An inbound call begins a trace, in which the next gateway goes on below the same span."""
    async with house(FarEnd()) as old:
        old.asterisk.arrive("17.4", "09123334455", "02191001001", FarEnd(says=[1.0]))
        await asyncio.sleep(1.5)
        async with next_house(old, Intent.NO) as new:
            (attempt_id,) = new.ledger.calls
            await new.ended(attempt_id)
    (root,) = named(exported, "inbound call")
    assert parent_id(root) == 0
    assert names_below(exported, root) == [
        *("answer", "ask"),  # the first `ask` is the one that the kill ended
        *("take over", "ask", "turn", "play", "hang up"),
    ]
    everything = exported.get_finished_spans()
    assert {dict(span.attributes or {})["attempt_id"] for span in everything} == {attempt_id}
    assert "09123334455" not in "".join(span.to_json() for span in everything)


async def test_a_caller_who_leaves_is_no_error(exported: InMemorySpanExporter) -> None:
    """Who hangs up while understood leaves a turn of its stages, and no span in error."""
    async with house(FarEnd(says=[1.0], leaves_s=6.5), Intent.YES) as here:
        here.ears.takes_s = 5.0
        await traced_call(here)
    (turn,) = named(exported, "turn")
    assert names_below(exported, turn) == ["endpoint", "fetch"]
    for name in ("dial", "ask", "turn"):
        (span,) = named(exported, name)
        assert parent_id(span) == PARENT_ID
        assert span.status.status_code is trace.StatusCode.UNSET


async def test_a_failed_verb_tells_why(exported: InMemorySpanExporter) -> None:
    """A verb that fails is in error, with the reason of the call's result."""
    async with house(FarEnd()) as here:
        here.asterisk.missing.add("hello")
        await traced_call(here)
    (asked,) = named(exported, "ask")
    assert asked.status.status_code is trace.StatusCode.ERROR
    assert dict(asked.attributes or {})["reason"] == "prompt_missing"


async def test_a_dialing_tells_its_disposition(exported: InMemorySpanExporter) -> None:
    """How the dialing ended stands at its span; a busy line is no error."""
    async with house(FarEnd(refuses=17)) as here:
        await traced_call(here)
    (dialled,) = named(exported, "dial")
    assert dict(dialled.attributes or {})["disposition"] == "busy"
    assert dialled.status.status_code is trace.StatusCode.UNSET


async def test_each_reply_is_a_turn_of_its_own(exported: InMemorySpanExporter) -> None:
    """Two replies are two turns, each with what was meant and with all its stages."""
    async with house(FarEnd(says=[1.0, 1.0]), Intent.NUMBER_QUESTION, Intent.NO) as here:
        await traced_call(here)
    found = named(exported, "turn")
    assert [dict(turn.attributes or {})["intent"] for turn in found] == ["number_question", "no"]
    for turn in found:
        assert names_below(exported, turn) == ["endpoint", "fetch", "prompt start"]


@pytest.mark.parametrize("position", [POSITION, ""])
async def test_a_call_hangs_on_who_asked_for_it(
    exported: InMemorySpanExporter, position: str
) -> None:
    """A call goes on from the position of its caller, not of the RPC; without one it begins one."""
    request = calls_pb2.PlaceCallRequest(
        attempt_id=str(uuid.uuid4()), endpoint=CUSTOMER, ring_timeout_s=20
    )
    async with house(FarEnd(refuses=17)) as here:
        servicer = CallServicer(here.manager, here.ledger, here.manager.why_no_outbound)
        with tracing.tracer.start_as_current_span("rpc", tracing.context_of(position)):
            await servicer.PlaceCall(request, None)  # type: ignore[arg-type]
        await here.ended(request.attempt_id)
    (dialled,) = named(exported, "dial")
    begun = [span.context.span_id for span in named(exported, "outbound call") if span.context]
    assert [parent_id(dialled)] == ([PARENT_ID] if position else begun)
