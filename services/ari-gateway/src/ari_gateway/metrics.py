"""What the gateway counts and times."""

from __future__ import annotations

import functools

from prometheus_client import Counter, Gauge, Histogram

from servicekit.metrics import from_zero

ARI_REQUEST_SECONDS = Histogram(
    "salehi_ari_request_seconds",
    "Time Asterisk took to answer one request",
    ["method", "over"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10),
)
ORIGINATE_SECONDS = Histogram(
    "salehi_originate_seconds",
    "Time Asterisk took to take one originate; the first thing to grow when it is saturated",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10),
)
ORIGINATE_BASELINE_SECONDS = Gauge(
    "salehi_originate_baseline_seconds",
    "What an originate usually takes; new calls are held back when it takes much longer",
)
ARI_EVENTS = Counter("salehi_ari_events_total", "Events received from Asterisk", ["type"])
ASTERISK_LINK_UP = Gauge("salehi_asterisk_link_up", "1 while the events WebSocket is connected")
READY_TO_DIAL = Gauge("salehi_gateway_ready_to_dial", "1 while PlaceCall is accepted")
PUSH_BACK_SECONDS = Gauge(
    "salehi_gateway_push_back_seconds",
    "How long no new outbound call is taken for want of capacity at a service; 0 when not held",
    ["service"],
)
TASKS = Gauge("salehi_gateway_tasks", "Tasks of the event loop; as few after calls as before them")
LEADS = Gauge(
    "salehi_gateway_leads",
    "1 while this gateway holds the lease of its Stasis application, 0 on standby",
    ["application"],
)
LIVE_CALLS = Gauge("salehi_calls_live", "Calls under way", ["direction"])
LINE_CALLS = Gauge("salehi_line_calls_live", "Outbound calls under way on a line", ["line"])
LINE_ORIGINATES = Counter(
    "salehi_line_originates_total", "Originates Asterisk took for a line", ["line"]
)
DUPLICATE_DIALS = Counter(
    "salehi_duplicate_dials_total",
    "Outbound calls begun while another one to the same number was under way; stays 0",
)
CALLS = Counter("salehi_calls_total", "Calls that ended", ["direction", "result", "disposition"])
FAILURES = Counter("salehi_call_failures_total", "Calls that ended as failed", ["reason"])
POST_DIAL_DELAY_SECONDS = Histogram(
    "salehi_post_dial_delay_seconds",
    "From originate until the far end rang",
    buckets=(0.25, 0.5, 1, 2, 3, 5, 8, 13, 20, 30),
)
TURN_LATENCY_SECONDS = Histogram(
    "salehi_turn_latency_seconds",
    "From the end of a caller's speech until the next prompt started",
    # 1.3 s is the objective: the alert on it counts the turns up to there.
    buckets=(0.2, 0.3, 0.5, 0.7, 1, 1.3, 1.5, 2, 3, 5, 8),
)
TURN_STAGE_SECONDS = Histogram(
    "salehi_turn_stage_seconds",
    "Parts of a turn",
    ["stage"],
    buckets=(0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 8),
)
BARGE_INS = Counter(
    "salehi_barge_ins_total",
    "Prompts that gave way to a caller who spoke: answered, nothing_said",
    ["outcome"],
)
from_zero(BARGE_INS, ("answered", "nothing_said"))
FILLERS = Counter("salehi_fillers_total", "Fillers played because understanding a reply took long")
CALL_SECONDS = Histogram(
    "salehi_call_seconds",
    "From answer to end",
    ["direction"],
    buckets=(1, 5, 10, 20, 30, 60, 120, 300, 600, 1800),
)
from_zero(CALL_SECONDS, ("inbound", "outbound"))
ADOPTED_CALLS = Counter(
    "salehi_gateway_adopted_calls_total",
    "Calls of another gateway that were taken over: adopted, ended",
    ["outcome"],
)
from_zero(ADOPTED_CALLS, ("adopted", "ended"))
OPERATORS_BUSY = Gauge(
    "salehi_operators_busy", "Operators that ring or talk, by the calls that hold them"
)
OPERATOR_RINGS = Counter(
    "salehi_operator_rings_total", "Operators called: answered, not_answered, refused", ["outcome"]
)
from_zero(OPERATOR_RINGS, ("answered", "not_answered", "refused"))
OPERATOR_WAIT_SECONDS = Histogram(
    "salehi_operator_wait_seconds",
    "From the wish for an operator until one answered",
    buckets=(1, 2, 3, 5, 8, 13, 20, 30, 45, 60, 120),
)
TALK_SECONDS = Histogram(
    "salehi_talk_seconds",
    "How long customer and operator talked",
    buckets=(1, 5, 10, 20, 30, 60, 120, 300, 600, 1800),
)
UNREPORTED_RESULTS = Gauge(
    "salehi_gateway_unreported_results", "Results the reporter has not acknowledged yet"
)


# To look up a figure by its labels costs more than to count.
ari_request_seconds = functools.cache(ARI_REQUEST_SECONDS.labels)
ari_events = functools.cache(ARI_EVENTS.labels)
_stage_seconds = functools.cache(TURN_STAGE_SECONDS.labels)


def turn_stage(name: str, took_s: float) -> None:
    """Note how long one stage of a turn took, seconds."""
    _stage_seconds(name).observe(took_s)
