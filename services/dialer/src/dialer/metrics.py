"""What Prometheus can read of the dialer."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from dialer.limits import Limit
from dialer.tables import Source
from salehi.calls.v1.calls_pb2 import Disposition
from servicekit.metrics import from_zero

ATTEMPTS = Counter("salehi_dialer_attempts", "Attempts ended", ["disposition"])
from_zero(
    ATTEMPTS,
    [name.removeprefix("DISPOSITION_").lower() for name in Disposition.DESCRIPTOR.values_by_name],
)
CLAIMS = Counter("salehi_dialer_claims", "Attempts claimed", ["line"])
NOT_NOW = Counter(
    "salehi_dialer_not_now",
    "Times a claim found that nothing may be dialled, by what held it back",
    ["why"],
)
from_zero(NOT_NOW, (*Limit, "paused", "breaker", "panel", "window", "no_contacts"))
GATEWAY_REFUSALS = Counter(
    "salehi_dialer_gateway_refusals", "Claims undone because the gateway took no call"
)
UNKNOWN_ANSWERS = Counter(
    "salehi_dialer_unknown_answers", "Times the gateway's answer to a call request was lost"
)
UNKNOWN_OUTCOMES = Counter(
    "salehi_dialer_unknown_outcomes", "Attempts closed because nobody knows what became of them"
)
DRIFT = Counter(
    "salehi_dialer_drift",
    "Differences found between attempts and the gateway's calls: news (a call stood elsewhere than "
    "known; now and then is normal), lost_attempt, lost_call (nobody knows them any more), "
    "late_call (alive though its attempt was closed)",
    ["kind"],
)
from_zero(DRIFT, ("news", "lost_attempt", "lost_call", "late_call"))
LINE_USED = Gauge("salehi_dialer_line_used", "Use of a line", ["line", "limit"])
LINE_ALLOWED = Gauge("salehi_dialer_line_allowed", "Limit of a line", ["line", "limit"])
OPERATORS = Gauge(
    "salehi_dialer_operators",
    "Operators there are (slots), those taken (busy), those the calls under way need (expected)",
    ["what"],
)
CONTACTS_WAITING = Gauge("salehi_dialer_contacts_waiting", "Contacts waiting to be dialled")
ATTEMPTS_OPEN = Gauge("salehi_dialer_attempts_open", "Attempts under way")
ATTEMPTS_FINISHED = Gauge("salehi_dialer_attempts_finished", "Attempts that are over, as kept")
OLDEST_CALL_S = Gauge(
    "salehi_dialer_oldest_call_age_seconds",
    "Age of the oldest call on our lines: before_operator, with_operator (rings or talks); 0: none",
    ["stage"],
)
PAUSED = Gauge("salehi_dialer_paused", "1 while this holds dialing back", ["kind"])
CONTACTS_REJECTED = Counter(
    "salehi_dialer_contacts_rejected", "Rows and numbers not taken", ["source"]
)
from_zero(CONTACTS_REJECTED, Source)
CONTACTS_ADDED = Counter("salehi_dialer_contacts_added", "Contacts taken", ["source"])
from_zero(CONTACTS_ADDED, Source)
PANEL_ANSWERS = Counter("salehi_dialer_panel_answers", "Answers of the panel", ["answer"])
from_zero(PANEL_ANSWERS, ("batch", "empty", "blocked", "error"))
REPORTS_SENT = Counter(
    "salehi_dialer_reports", "Reports of calls the gateway never had", ["outcome"]
)
from_zero(REPORTS_SENT, ("acknowledged", "refused"))
