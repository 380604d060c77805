"""One trace per call, as an OTLP receiver gets it from all five services."""

from __future__ import annotations

import json
import signal
from textwrap import dedent
from typing import Any

import httpx

from e2e_support import short_prompts
from e2e_support.otlp import Receiver, Span, otlp_receiver, tree
from e2e_support.stack import MakeStack, Stack, eventually
from e2e_support.understanding import understanding
from lab import troubles
from lab.fakes.llm import FakeLlm
from lab.fakes.panel import FakePanel
from lab.fakes.serving import serving
from salehi.calls.v1 import calls_pb2

_NUMBER = f"091200004{troubles.INSISTENT}"
_PLACE = "/salehi.calls.v1.CallService/PlaceCall"

_ANSWERED_CALL = dedent("""\
    dialer claim
      dialer place call
        dialer CallService/PlaceCall
          ari-gateway CallService/PlaceCall
          ari-gateway dial
          ari-gateway ask
          ari-gateway turn
            ari-gateway endpoint
            ari-gateway fetch
            ari-gateway transcribe
              ari-gateway SpeechService/Transcribe
                speech SpeechService/Transcribe
                  speech enhance
                  speech stt
            ari-gateway classify
              ari-gateway IntentService/Classify
                intent IntentService/Classify
                  intent ask llm
            ari-gateway prompt start
          ari-gateway play
          ari-gateway operator
          ari-gateway hang up
          ari-gateway report result
            ari-gateway ReporterService/ReportResult
              reporter ReporterService/ReportResult
    """)

_TAKEN_OVER = dedent("""\
    take over
    ask
    turn
      endpoint
      fetch
      transcribe
        SpeechService/Transcribe
      classify
        IntentService/Classify
      prompt start
    play
    operator
    hang up
    report result
      ReporterService/ReportResult
    """)


async def test_a_call_is_one_trace_across_five_services(make_stack: MakeStack) -> None:
    """From claim to result all spans of a call are one tree; its delivery is linked to it."""
    panel, llm = FakePanel(), FakeLlm()
    panel.configure({"numbers": [{"id": 7, "phone_number": _NUMBER}]})
    llm.configure({"default": "yes"})
    async with (
        otlp_receiver() as received,
        serving(panel) as panel_url,
        serving(llm) as llm_url,
        make_stack(
            OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
            PANEL_BASE_URL=panel_url,
            PANEL_API_TOKEN="panel-token",
            INTENT_STRATEGY="llm-first",
            GAPGPT_BASE_URL=f"{llm_url}/v1",
            GAPGPT_API_KEY="llm-key",
            LOG_LEVEL="DEBUG",
            **short_prompts.settings(),
        ) as running,
    ):
        assert await running.have_results(1, within_s=60) == ["connected_to_operator"]
        await _delivered(received)
        (claim,) = received.named("claim")
        call = received.trace(claim.trace_id)
        assert tree(call, _with_service) == _ANSWERED_CALL
        _delivery_is_linked(received)
        attempt_id = (await running.results())[0].report.attempt_id
        assert {span.attributes["attempt_id"] for span in received.spans} == {attempt_id}
        assert _NUMBER[1:].encode() not in b"".join(
            span.message.SerializeToString() for span in received.spans
        )
        _lines_lead_to_the_trace(running, attempt_id, claim.trace_id)
        await _latency_leads_to_the_trace(running, received)


async def test_a_trace_goes_on_in_the_next_gateway(make_stack: MakeStack) -> None:
    """What a gateway does with a call whose first one was killed has its place in the same tree."""
    async with (
        otlp_receiver() as received,
        understanding(0.3) as ears,
        make_stack(
            "reporter",
            "ari-gateway",
            "dialer",
            OTEL_EXPORTER_OTLP_ENDPOINT=received.endpoint,
            STATIC_CONTACTS=_NUMBER,
            **short_prompts.settings(),
            **ears.settings,
        ) as running,
    ):
        await running.reaches(calls_pb2.CALL_STATE_ANSWERED)
        await running.end("ari-gateway", signal.SIGKILL)
        await running.start("ari-gateway")
        assert await running.have_results(1, within_s=60) == ["connected_to_operator"]

        async def reported() -> bool:
            return "reporter" in {span.service for span in received.spans}

        await eventually(reported, within_s=10, what="the reporter's span")
        await eventually(lambda: _has(received, "report result"), within_s=10, what="the last span")
    (claim,) = received.named("claim")
    call = received.trace(claim.trace_id)
    (taken_over,) = received.named("take over")
    second = [span for span in call if span.instance == taken_over.instance]
    assert tree(second, _short) == _TAKEN_OVER
    (placed,) = [span for span in call if (span.service, span.name) == ("dialer", _PLACE)]
    known = {span.span_id for span in second} | {placed.span_id}
    assert {span.parent_id for span in second} <= known
    assert len(tree(call, _short).splitlines()) == len(call)
    assert [line for line in tree(call, _short).splitlines() if line[0] != " "] == ["claim"]


def _short(span: Span) -> str:
    return span.name.removeprefix("/").partition(".v1.")[2] or span.name


def _with_service(span: Span) -> str:
    return f"{span.service} {_short(span)}"


async def _has(received: Receiver, name: str) -> bool:
    return bool(received.named(name))


async def _delivered(received: Receiver) -> None:
    """Wait until every service has sent what it knows of the call."""
    last = ("claim", "report result", "deliver result", "ask llm", "stt")

    async def sent() -> bool:
        return {span.name for span in received.spans} >= set(last)

    await eventually(sent, within_s=15, what=f"the spans {', '.join(last)}")


def _delivery_is_linked(received: Receiver) -> None:
    (delivery,) = received.named("deliver result")
    reported = [span for span in received.spans if _short(span) == "ReporterService/ReportResult"]
    (taken,) = [span for span in reported if span.service == "reporter"]
    assert delivery.links == (taken.span_id,)
    assert delivery.parent_id == ""
    assert delivery.attributes["outcome"] == "accepted"


def _lines_lead_to_the_trace(running: Stack, attempt_id: str, trace_id: str) -> None:
    """Each service that logs while it serves the call names attempt and trace."""
    lines: list[dict[str, Any]] = [json.loads(line) for line in running.log.splitlines()]
    of_call = [line for line in lines if line.get("trace_id") == trace_id]
    assert {line["service"] for line in of_call} >= {"dialer", "ari-gateway", "speech"}
    assert {line.get("attempt_id") for line in of_call} == {attempt_id}
    assert all(line["span_id"] for line in of_call)
    of_attempt = [line for line in lines if line.get("attempt_id") == attempt_id]
    elsewhere = {line["event"] for line in of_attempt if line.get("trace_id") != trace_id}
    assert elsewhere <= {"result delivered"}


async def _latency_leads_to_the_trace(running: Stack, received: Receiver) -> None:
    """The turn's latency is exported with its trace as an exemplar, and is as long as its span."""
    (turn,) = received.named("turn")
    port = running.settings["ARI_GATEWAY_METRICS_PORT"]
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(
            f"http://127.0.0.1:{port}/metrics",
            headers={"Accept": "application/openmetrics-text; version=1.0.0"},
        )
    exemplars = [line.partition(" # ")[2] for line in answer.text.splitlines() if " # " in line]
    (exemplar,) = exemplars
    labels, latency_s = exemplar.split(" ")[:2]
    assert labels == f'{{trace_id="{turn.trace_id}"}}'
    assert abs(float(latency_s) - turn.took_s) < 0.1
