#!/usr/bin/env python
"""Writes docs/metrics.md out of the metrics modules, or with --check says whether it is stale.

A new metric needs nothing here but the values of a label that no other metric has.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "metrics.md"
MODULES = {
    "Every service": "libs/servicekit/src/servicekit/metrics.py",
    "ari-gateway": "services/ari-gateway/src/ari_gateway/metrics.py",
    "dialer": "services/dialer/src/dialer/metrics.py",
    "speech": "services/speech/src/speech/metrics.py",
    "intent": "services/intent/src/intent/metrics.py",
    "reporter": "services/reporter/src/reporter/metrics.py",
}
_KINDS = ("Counter", "Gauge", "Histogram")

_INTRODUCTION = """\
# Metrics

What each service shows at `http://BIND_HOST:<SERVICE>_METRICS_PORT/metrics`, beside what every
Python process shows of itself (`process_*`, `python_*`). No label holds a phone number of a person,
a word that was said or anything else without end: `line` is one of OUTBOUND_NUMBERS, `application`
is ARI_APP_NAME, `engine` is one of STT_PROVIDERS and TTS_PROVIDERS.

Figures kept in a database are the same at each replica: of the gauges of dialer and reporter take
the `max`, not the `sum`. A histogram is shown as `_bucket`, `_sum` and `_count`. Rules and alerts
on them are in `deploy/prometheus` ([alerts.md](alerts.md)), dashboards in `deploy/grafana`.

Written by `scripts/metrics_reference.py`.
"""
_TABLE = """\
## {title}

| metric | type | unit | labels | meaning |
|---|---|---|---|---|
{rows}
"""

_RESULTS = "connected_to_operator not_interested disconnected hangup missed failed"
_DISPOSITIONS = (
    "answered busy no_answer rejected unreachable invalid_number congestion cancelled unknown"
)
_STT_ERRORS = (
    "ProviderUnavailable ProviderTooSlow InputRejected ProviderRefused OutOfCredit BadToken"
)
_CODES = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND RESOURCE_EXHAUSTED "
    "FAILED_PRECONDITION UNIMPLEMENTED INTERNAL UNAVAILABLE"
)
# Values of labels, by label, or by metric and label where several have one of that name. After
# "such as" stands an example of a set that settings or contracts decide.
_VALUES = {
    "answer": "batch empty blocked error",
    "application": "such as salehi",
    "code": f"such as {_CODES}",
    "decided_by": "rules llm rules_fallback",
    "direction": "inbound outbound",
    "disposition": _DISPOSITIONS,
    "engine": "vira openai pocketsphinx",
    "intent": "yes no number_question do_not_call unknown",
    "language": "fa en",
    "line": "such as 1001",
    "limit": "concurrent minute day",
    "over": "http websocket",
    "pool": "stt stt_embedded tts enhance vad",
    "result": _RESULTS,
    "source": "panel static file",
    "type": "such as StasisStart StasisEnd other invalid",
    "salehi_ari_request_seconds.method": "GET POST PUT DELETE",
    "salehi_barge_ins_total.outcome": "answered nothing_said",
    "salehi_call_failures_total.reason": "such as congestion trunk_unreachable prompt_missing "
    "operator_unavailable asterisk_silent link_lost ended_on_request",
    "salehi_dialer_attempts_total.disposition": "answered busy no_answer rejected unreachable "
    "invalid_number congestion cancelled unspecified",
    "salehi_dialer_drift_total.kind": "news lost_attempt lost_call late_call",
    "salehi_dialer_not_now_total.why": "concurrent minute day spacing total operators taken paused "
    "breaker panel window no_contacts",
    "salehi_dialer_oldest_call_age_seconds.stage": "before_operator with_operator",
    "salehi_dialer_operators.what": "slots busy expected",
    "salehi_dialer_paused.kind": "manual breaker panel",
    "salehi_dialer_reports_total.outcome": "acknowledged refused",
    "salehi_forgotten_total.what": "words callbacks results",
    "salehi_gateway_adopted_calls_total.outcome": "adopted ended",
    "salehi_gateway_push_back_seconds.service": "speech intent asterisk",
    "salehi_intent_llm_not_asked_total.reason": "busy breaker late",
    "salehi_intent_llm_seconds.outcome": "ok timeout unavailable key_refused busy out_of_credit "
    "unusable_answer failed cancelled",
    "salehi_intent_llm_tokens_total.kind": "prompt completion",
    "salehi_intent_transcripts_lost_total.reason": "disk queue",
    "salehi_operator_rings_total.outcome": "answered not_answered refused",
    "salehi_panel_deliveries_total.outcome": "accepted refused unavailable",
    "salehi_prompt_syncs_total.outcome": "done failed stand_in",
    "salehi_review_copies_total.outcome": "kept deleted failed dropped unnamed",
    "salehi_rpc_client_seconds.method": "such as /salehi.calls.v1.CallService/PlaceCall",
    "salehi_rpc_server_in_flight.method": "such as /salehi.calls.v1.CallService/PlaceCall",
    "salehi_rpc_server_seconds.method": "such as /salehi.calls.v1.CallService/PlaceCall",
    "salehi_sms_total.outcome": "sent failed",
    "salehi_speech_breaker_state.engine": "vira openai pocketsphinx vira-tts openai-tts "
    "espeak-ng-tts",
    "salehi_speech_out_of_credit.engine": "vira openai pocketsphinx vira-tts openai-tts "
    "espeak-ng-tts",
    "salehi_speech_retries_total.engine": "vira openai pocketsphinx espeak-ng",
    "salehi_stt_failovers_total.reason": f"{_STT_ERRORS} AtCapacity",
    "salehi_stt_seconds.outcome": f"answered {_STT_ERRORS} cancelled",
    "salehi_transcriptions_total.outcome": "recognised nothing_said not_understood",
    "salehi_tts_cache_total.outcome": "hit miss",
    "salehi_tts_failovers_total.engine": "vira openai espeak-ng",
    "salehi_tts_seconds.engine": "vira openai espeak-ng",
    "salehi_tts_seconds.outcome": f"answered {_STT_ERRORS} ProgramFailed cancelled",
    "salehi_turn_stage_seconds.stage": "endpoint fetch transcribe enhance stt classify "
    "prompt_start",
}


@dataclass(frozen=True)
class Described:
    """A metric as its module defines it; `name` as it is exported."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...]

    @property
    def unit(self) -> str:
        """What it is counted in."""
        if "_seconds" in self.name:
            return "seconds"
        if "saturation" in self.name:
            return "share"
        if self.meaning.startswith("1 while"):
            return "0 or 1"
        return {
            "salehi_stt_units_total": "the provider's units",
            "salehi_intent_llm_tokens_total": "tokens",
            "salehi_speech_breaker_state": "state",
            "salehi_intent_llm_breaker": "state",
        }.get(self.name, "count")

    def row(self) -> str:
        """Give its line of the table."""
        labels = "; ".join(f"{label}: {_values(self.name, label)}" for label in self.labels)
        return f"| `{self.name}` | {self.kind} | {self.unit} | {labels} | {self.meaning} |"


def described(path: Path) -> Iterator[Described]:
    """Give the metrics a module defines, in its order."""
    for node in ast.parse(path.read_text()).body:
        match node:
            case ast.Assign(value=ast.Call(func=ast.Name(id=kind), args=args)) if kind in _KINDS:
                name, meaning, *labels = (ast.literal_eval(argument) for argument in args)
                if kind == "Counter":
                    name = f"{name.removesuffix('_total')}_total"
                yield Described(name, kind.lower(), meaning, tuple(labels[0]) if labels else ())


def _values(metric: str, label: str) -> str:
    text = _VALUES.get(f"{metric}.{label}") or _VALUES.get(label)
    if text is None:
        sys.exit(f"{metric}: name the values of its label {label} in _VALUES of {sys.argv[0]}")
    values = " ".join(f"`{value}`" for value in text.removeprefix("such as ").split())
    return f"such as {values}" if text.startswith("such as ") else values


def page() -> str:
    """Write the page."""
    parts = [_INTRODUCTION]
    for title, path in MODULES.items():
        rows = "\n".join(metric.row() for metric in described(ROOT / path))
        parts.append(_TABLE.format(title=title, rows=rows))
    return "\n".join(parts)


def main() -> None:
    """Write the page, or compare it."""
    if sys.argv[1:] == ["--check"]:
        if not PAGE.exists() or PAGE.read_text() != page():
            sys.exit("docs/metrics.md is stale: run scripts/metrics_reference.py")
    elif sys.argv[1:]:
        sys.exit("usage: scripts/metrics_reference.py [--check]")
    else:
        PAGE.write_text(page())


if __name__ == "__main__":
    main()
