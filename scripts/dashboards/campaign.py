"""How far the campaign is, what comes of it, and what holds it back."""

from __future__ import annotations

from panels import Dashboard, Panel, Query, Row, per_minute, quantiles, stat

_AGE = "salehi_reporter_callbacks_oldest_age_seconds"


def _share_of(limit: str, title: str) -> Panel:
    used = f'salehi_dialer_line_used{{limit="{limit}", line=~"$line"}}'
    allowed = f'salehi_dialer_line_allowed{{limit="{limit}", line=~"$line"}}'
    return Panel(
        title,
        f"What each line uses of its limit ({limit}). Full lines are a campaign at work; more than "
        "100 % is an alarm. For more calls: more lines, or a higher limit where the trunk "
        "allows it.",
        [Query(f"max by (line) ({used}) / max by (line) ({allowed})", "{{line}}")],
        unit="percentunit",
        warn_at=0.9,
        alarm_at=1.001,
        form="bargauge",
        width=8,
    )


CAMPAIGN = Dashboard(
    uid="salehi-campaign",
    title="Salehi: campaign",
    description="How far the campaign is, what comes of it, and what holds it back.",
    window="now-6h",
    variables={"line": "salehi_dialer_line_allowed"},
    rows=[
        Row(
            "Now",
            [
                stat(
                    "Contacts waiting",
                    "Contacts still to be dialled. At 0 import more, or look at the panel.",
                    "max(salehi_dialer_contacts_waiting)",
                ),
                stat(
                    "Calls under way",
                    "Attempts that are claimed or live. 0 with contacts waiting: see what holds "
                    "dialing back, below.",
                    "max(salehi_dialer_attempts_open)",
                ),
                stat(
                    "Attempts finished",
                    "All attempts that are over, as long as results are kept.",
                    "max(salehi_dialer_attempts_finished)",
                ),
                stat(
                    "Held back",
                    "Pauses in force: of a person, the breaker or the panel. `dialer status` says "
                    "why; `dialer resume` lifts the first two.",
                    "sum(max by (kind) (salehi_dialer_paused))",
                    alarm_at=1,
                ),
                stat(
                    "Failure breaker",
                    "Open: too many technical failures in a row. Read the cause in the SMS or in "
                    "`dialer status`, mend it, `dialer resume`.",
                    "max(salehi_failure_breaker_open)",
                    alarm_at=1,
                    words={0: "closed", 1: "open"},
                ),
                stat(
                    "People who wait for a call",
                    "They wanted an operator and got none. `reporter callbacks`; call them.",
                    "max(salehi_reporter_callbacks_waiting)",
                    warn_at=1,
                ),
            ],
        ),
        Row(
            "Results",
            [
                Panel(
                    "Attempts per minute",
                    "How dialings ended. Much congestion or invalid_number: ask the trunk's "
                    "provider, or look at DIAL_TEMPLATE.",
                    [per_minute("salehi_dialer_attempts_total", "disposition")],
                    unit="cpm",
                    stacked=True,
                ),
                Panel(
                    "Results per minute",
                    "What the calls came to. Much `failed`: see why on the next dashboard. Much "
                    "`disconnected`: the interested do not reach an operator.",
                    [per_minute("salehi_results_total", "result")],
                    unit="cpm",
                    stacked=True,
                ),
                Panel(
                    "Results in this time",
                    "Results taken in the time shown.",
                    [
                        Query(
                            "sum by (result) (increase(salehi_results_total[$__range]))",
                            "{{result}}",
                        )
                    ],
                    form="bargauge",
                ),
                Panel(
                    "What replies meant, per minute",
                    "Much `unknown`: callers are not understood; listen to review copies, or "
                    "extend the rules (INTENT_RULES_FILE).",
                    [per_minute("salehi_intent_decisions_total", "intent")],
                    unit="cpm",
                    stacked=True,
                ),
            ],
        ),
        Row(
            "Lines against their limits",
            [
                _share_of("concurrent", "Calls at once"),
                _share_of("minute", "Originates in 60 seconds"),
                _share_of("day", "Originates today"),
                Panel(
                    "What holds dialing back",
                    "Claims that found nothing to dial, by reason. Limits of lines are normal; "
                    "`operators`: more of them would mean more calls; `window`: CALL_WINDOW is "
                    "shut.",
                    [per_minute("salehi_dialer_not_now_total", "why")],
                    unit="cpm",
                ),
                Panel(
                    "Originates per line and minute",
                    "What Asterisk took. Lines far apart: look at LINE_LIMITS.",
                    [per_minute("salehi_line_originates_total", "line", 'line=~"$line"')],
                    unit="cpm",
                ),
            ],
        ),
        Row(
            "Operators",
            [
                Panel(
                    "Operators",
                    "slots: there are; busy: taken; expected: those the calls under way will need. "
                    "expected above slots for long: OPERATOR_SLOTS is higher than who is there.",
                    [Query("max by (what) (salehi_dialer_operators)", "{{what}}")],
                ),
                Panel(
                    "Operators called, per minute",
                    "Much `not_answered` or `refused`: nobody sits there, or extensions are wrong.",
                    [per_minute("salehi_operator_rings_total", "outcome")],
                    unit="cpm",
                ),
                Panel(
                    "Wait for an operator",
                    "From the yes to an operator's voice. Above 20 s people leave: fewer calls at "
                    "once (OPERATOR_SLOTS), or more operators.",
                    quantiles("salehi_operator_wait_seconds"),
                    unit="s",
                    warn_at=20,
                ),
                Panel(
                    "How long the first has waited for a call",
                    "The oldest entry of `reporter callbacks`.",
                    [Query(f"max({_AGE})", "waiting")],
                    unit="s",
                    alarm_at=3600,
                ),
            ],
        ),
        Row(
            "Contacts and promises",
            [
                Panel(
                    "Contacts taken, per minute",
                    "From where contacts come.",
                    [per_minute("salehi_dialer_contacts_added_total", "source")],
                    unit="cpm",
                    width=8,
                ),
                Panel(
                    "Contacts not taken, per minute",
                    "Numbers that are none, duplicates, no consent. The reasons are in "
                    "DATA_DIR/imports.",
                    [per_minute("salehi_dialer_contacts_rejected_total", "source")],
                    unit="cpm",
                    width=8,
                ),
                Panel(
                    "Answers of the panel, per minute",
                    "`blocked`: the panel allows no calls; `error`: it is away or refuses the "
                    "token.",
                    [per_minute("salehi_dialer_panel_answers_total", "answer")],
                    unit="cpm",
                    width=8,
                ),
                Panel(
                    "Drift found, per minute",
                    "Where dialer and gateway disagreed. Now and then `news` is normal; anything "
                    "else is a call that was lost: look for the attempt in app.log.",
                    [per_minute("salehi_dialer_drift_total", "kind")],
                    unit="cpm",
                ),
                Panel(
                    "Duplicate dials",
                    "Must stay 0. If not: `dialer stop`, and see docs/alerts.md.",
                    [Query("sum(increase(salehi_duplicate_dials_total[$__range]))", "duplicates")],
                    form="stat",
                    alarm_at=1,
                ),
            ],
        ),
    ],
)
