"""What Prometheus can read of the dialer."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

ATTEMPTS = Counter("salehi_dialer_attempts", "Attempts ended", ["disposition"])
CLAIMS = Counter("salehi_dialer_claims", "Attempts claimed", ["line"])
NOT_NOW = Counter(
    "salehi_dialer_not_now",
    "Times a claim found that nothing may be dialled, by what held it back",
    ["why"],
)
GATEWAY_REFUSALS = Counter(
    "salehi_dialer_gateway_refusals", "Claims undone because the gateway took no call"
)
UNKNOWN_ANSWERS = Counter(
    "salehi_dialer_unknown_answers", "Times the gateway's answer to a call request was lost"
)
UNKNOWN_OUTCOMES = Counter(
    "salehi_dialer_unknown_outcomes", "Attempts closed because nobody knows what became of them"
)
LINE_USED = Gauge("salehi_dialer_line_used", "Use of a line", ["line", "limit"])
LINE_ALLOWED = Gauge("salehi_dialer_line_allowed", "Limit of a line", ["line", "limit"])
OPERATORS = Gauge(
    "salehi_dialer_operators",
    "Operators there are (slots), those taken (busy), those the calls under way need (expected)",
    ["what"],
)
CONTACTS_WAITING = Gauge("salehi_dialer_contacts_waiting", "Contacts waiting to be dialled")
ATTEMPTS_OPEN = Gauge("salehi_dialer_attempts_open", "Attempts under way")
PAUSED = Gauge("salehi_dialer_paused", "1 while this holds dialing back", ["kind"])
CONTACTS_REJECTED = Counter(
    "salehi_dialer_contacts_rejected", "Rows and numbers not taken", ["source"]
)
CONTACTS_ADDED = Counter("salehi_dialer_contacts_added", "Contacts taken", ["source"])
PANEL_ANSWERS = Counter(
    "salehi_dialer_panel_answers", "Answers of the panel", ["answer"]
)  # batch, empty, blocked, error
REPORTS_SENT = Counter(
    "salehi_dialer_reports", "Reports of calls the gateway never had", ["outcome"]
)  # acknowledged, refused
