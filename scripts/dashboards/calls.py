"""How well calls go: through the network, and turn by turn."""

from __future__ import annotations

from panels import Dashboard, Panel, Query, Row, per_minute, quantiles, stat

_TURNS = "salehi_turn_latency_seconds"

CALLS = Dashboard(
    uid="salehi-calls",
    title="Salehi: calls and latency",
    description="How well calls go: through the network, and turn by turn.",
    window="now-3h",
    rows=[
        Row(
            "Now",
            [
                stat(
                    "ASR, 30 min",
                    "Answered, by attempts. Low with a good NER: people do not pick up; other "
                    "hours, "
                    "another caller ID.",
                    "salehi:asr:ratio30m",
                    unit="percentunit",
                ),
                stat(
                    "NER, 30 min",
                    "Attempts that reached a phone. Falling: the trunk or the numbers, not the "
                    "people.",
                    "salehi:ner:ratio30m",
                    unit="percentunit",
                    alarm_at=0.4,
                    warn_at=0.6,
                    low_is_bad=True,
                ),
                stat(
                    "ACD, 30 min",
                    "Average length of an answered call. Very short: callers hang up at the "
                    "greeting.",
                    "salehi:acd_seconds:avg30m",
                    unit="s",
                ),
                stat(
                    "Turns within 1.3 s, 5 min",
                    "The objective is 95 %. Below: see the stages of a turn for who is slow.",
                    "1 - salehi:slow_turns:ratio_rate5m",
                    unit="percentunit",
                    alarm_at=0.7,
                    warn_at=0.95,
                    low_is_bad=True,
                ),
                stat(
                    "Link to Asterisk",
                    "Down: nothing is dialled. Is Asterisk up? docs/alerts.md.",
                    "max(salehi_asterisk_link_up)",
                    alarm_at=1,
                    low_is_bad=True,
                    words={0: "down", 1: "up"},
                ),
                stat(
                    "Oldest call",
                    "Age of the oldest call no operator was called for. Above 15 min it is stuck: "
                    "`dialer attempts --open`.",
                    'max(salehi_dialer_oldest_call_age_seconds{stage="before_operator"})',
                    unit="s",
                    alarm_at=900,
                ),
            ],
        ),
        Row(
            "Turns",
            [
                Panel(
                    "Turn latency",
                    "From the end of the caller's words to the start of our next prompt. Above "
                    "1.3 s: see the stages beside this.",
                    quantiles(_TURNS, shares=(0.5, 0.95, 0.99)),
                    unit="s",
                    alarm_at=1.3,
                ),
                Panel(
                    "Stages of a turn, 95th percentile",
                    "endpoint: until the end of speech is believed (END_OF_SPEECH_MS); fetch: the "
                    "recording; transcribe = enhance + stt and the way; classify: intent; "
                    "prompt_start: until Asterisk plays the answer.",
                    quantiles("salehi_turn_stage_seconds", by="stage", shares=(0.95,)),
                    unit="s",
                ),
                Panel(
                    "Prompts that gave way, per minute",
                    "Callers who spoke before a prompt's end. Much `nothing_said`: line noise; "
                    "raise "
                    "TALK_THRESHOLD or shorten BARGE_IN_WINDOW.",
                    [per_minute("salehi_barge_ins_total", "outcome")],
                    unit="cpm",
                ),
                Panel(
                    "Fillers per minute",
                    "Turns that took longer than FILLER_AFTER.",
                    [Query("60 * sum(rate(salehi_fillers_total[$__rate_interval]))", "fillers")],
                    unit="cpm",
                ),
            ],
        ),
        Row(
            "Through the network",
            [
                Panel(
                    "ASR and NER, 30 min",
                    "Answered, and reached a phone, by attempts. Both fall: the trunk.",
                    [Query("salehi:asr:ratio30m", "ASR"), Query("salehi:ner:ratio30m", "NER")],
                    unit="percentunit",
                ),
                Panel(
                    "Post-dial delay",
                    "From originate until it rings. Above 8 s: ask the trunk's provider.",
                    quantiles("salehi_post_dial_delay_seconds"),
                    unit="s",
                    warn_at=8,
                ),
                Panel(
                    "Length of calls",
                    "From answer to end.",
                    quantiles("salehi_call_seconds", by="direction"),
                    unit="s",
                ),
                Panel(
                    "Length of talks with operators",
                    "How long customer and operator talked.",
                    quantiles("salehi_talk_seconds"),
                    unit="s",
                ),
                Panel(
                    "Calls live",
                    "Calls under way. Near MAX_LIVE_CALLS, outbound calls are refused.",
                    [Query("sum by (direction) (salehi_calls_live)", "{{direction}}")],
                ),
                Panel(
                    "Why calls failed, per minute",
                    "Reasons on our side. prompt_missing: sync the prompts; asterisk_*: see "
                    "Asterisk's "
                    "log; congestion: the trunk is full.",
                    [per_minute("salehi_call_failures_total", "reason")],
                    unit="cpm",
                    stacked=True,
                ),
            ],
        ),
        Row(
            "Asterisk",
            [
                Panel(
                    "Requests to Asterisk, 95th percentile",
                    "What ARI takes to answer. Growing: Asterisk is near its limit.",
                    quantiles("salehi_ari_request_seconds", by="method", shares=(0.95,)),
                    unit="s",
                    warn_at=0.5,
                ),
                Panel(
                    "Time to originate, and the usual",
                    "Four times the usual holds new calls back until it falls.",
                    [
                        *quantiles("salehi_originate_seconds", shares=(0.5,)),
                        Query("max(salehi_originate_baseline_seconds)", "usual"),
                    ],
                    unit="s",
                ),
                Panel(
                    "Holding new calls back",
                    "Seconds until calls are dialled again, by who was full or slow. Add "
                    "replicas of "
                    "speech or intent; for asterisk lower MAX_CONCURRENT_CALLS.",
                    [Query("max by (service) (salehi_gateway_push_back_seconds)", "{{service}}")],
                    unit="s",
                ),
                Panel(
                    "Events from Asterisk, per minute",
                    "`invalid` must stay 0: an Asterisk that speaks another version of ARI.",
                    [per_minute("salehi_ari_events_total", "type")],
                    unit="cpm",
                ),
                Panel(
                    "Who leads",
                    "1 for the gateway that holds the lease of its application. None: start "
                    "one, or "
                    "see why it ended; docs/alerts.md.",
                    [Query("salehi_gateway_leads", "{{application}} {{instance}}")],
                ),
                Panel(
                    "Calls taken over, per minute",
                    "Calls another gateway led before. Often: the gateway keeps dying; read "
                    "app.log.",
                    [per_minute("salehi_gateway_adopted_calls_total", "outcome")],
                    unit="cpm",
                ),
            ],
        ),
    ],
)
