"""Speech and LLM: capacity, errors, cost."""

from __future__ import annotations

from panels import Dashboard, Panel, Query, Row, per_minute, quantiles, stat

_SAVED_TEXTS = '60 * sum(rate(salehi_tts_cache_total{outcome="hit"}[$__rate_interval]))'
_STATES = {0: "asked", 1: "on trial", 2: "passed over"}

PROVIDERS = Dashboard(
    uid="salehi-providers",
    title="Salehi: providers",
    description="Speech and LLM: how full, how fast, how often they fail, what they cost.",
    window="now-3h",
    rows=[
        Row(
            "Now",
            [
                stat(
                    "Speech saturation",
                    "Places taken and wanted at the fullest replica. Above 1 callers wait: more "
                    "replicas, or MAX_PARALLEL_STT where the provider allows more.",
                    'max(salehi_speech_saturation{pool=~"stt.*"})',
                    unit="percentunit",
                    warn_at=0.7,
                    alarm_at=1,
                ),
                stat(
                    "LLM saturation",
                    "Places taken at the fullest replica. At 1 the rules decide alone: more "
                    "replicas, or MAX_PARALLEL_LLM.",
                    "max(salehi_intent_llm_saturation)",
                    unit="percentunit",
                    warn_at=0.7,
                    alarm_at=1,
                ),
                stat(
                    "Out of credit",
                    "Providers that refuse for lack of credit. Pay; it is noticed within a minute.",
                    "sum(max by (engine) (salehi_speech_out_of_credit))"
                    " + max(salehi_intent_llm_out_of_credit)",
                    alarm_at=1,
                ),
                stat(
                    "Speech engines passed over",
                    "Engines whose breaker is open; the next in STT_PROVIDERS answers instead.",
                    "count(max by (engine) (salehi_speech_breaker_state) == 2) or vector(0)",
                    alarm_at=1,
                ),
                stat(
                    "LLM breaker",
                    "Passed over: the rules decide alone until it answers again.",
                    "max(salehi_intent_llm_breaker)",
                    alarm_at=2,
                    words=_STATES,
                ),
                stat(
                    "Embedded workers that died, in this time",
                    "Processes of the engine on board that died or hung. Often: too little memory.",
                    "sum(increase(salehi_stt_worker_deaths_total[$__range]))",
                    warn_at=1,
                ),
            ],
        ),
        Row(
            "Capacity",
            [
                Panel(
                    "Saturation by pool",
                    "Held and wanted, by places. What speech should be scaled on.",
                    [Query("max by (pool) (salehi_speech_saturation)", "{{pool}}")],
                    unit="percentunit",
                    warn_at=0.7,
                    alarm_at=1,
                ),
                Panel(
                    "Speech: in flight, waiting, places",
                    "Waiting above 0 for long: callers wait for a place.",
                    [
                        Query('sum(salehi_speech_in_flight{pool=~"stt.*"})', "in flight"),
                        Query('sum(salehi_speech_waiting{pool=~"stt.*"})', "waiting"),
                        Query('sum(salehi_speech_places{pool=~"stt.*"})', "places"),
                    ],
                ),
                Panel(
                    "LLM: in flight, places",
                    "Nobody waits here: without a place the rules decide.",
                    [
                        Query("sum(salehi_intent_llm_in_flight)", "in flight"),
                        Query("sum(salehi_intent_llm_places)", "places"),
                    ],
                ),
                Panel(
                    "Refused for want of a place, per minute",
                    "Each is a caller who was not understood. More replicas.",
                    [
                        per_minute("salehi_speech_refused_total", "pool"),
                        per_minute("salehi_intent_llm_not_asked_total", "reason"),
                    ],
                    unit="cpm",
                ),
            ],
        ),
        Row(
            "Latency",
            [
                Panel(
                    "Transcription, 95th percentile",
                    "By engine, retries included. Above 1 s turns miss their objective: another "
                    "engine first in STT_PROVIDERS.",
                    quantiles("salehi_stt_seconds", by="engine", shares=(0.95,)),
                    unit="s",
                    warn_at=1,
                    width=8,
                ),
                Panel(
                    "LLM",
                    "One question to the LLM. INTENT_BUDGET caps it.",
                    quantiles("salehi_intent_llm_seconds"),
                    unit="s",
                    warn_at=1,
                    width=8,
                ),
                Panel(
                    "Speaking a text, 95th percentile",
                    "Prompts are spoken before the campaign; slow is no harm there.",
                    quantiles("salehi_tts_seconds", by="engine", shares=(0.95,)),
                    unit="s",
                    width=8,
                ),
            ],
        ),
        Row(
            "Errors",
            [
                Panel(
                    "Transcriptions by outcome, per minute",
                    "Anything but `answered`: the kind of error. BadToken: set it anew; "
                    "OutOfCredit: "
                    "pay; ProviderTooSlow: STT_TIMEOUT or another engine.",
                    [
                        Query(
                            "60 * sum by (engine, outcome) "
                            "(rate(salehi_stt_seconds_count[$__rate_interval]))",
                            "{{engine}} {{outcome}}",
                        )
                    ],
                    unit="cpm",
                ),
                Panel(
                    "Questions to the LLM by outcome, per minute",
                    "`timeout`: INTENT_BUDGET is too short for this model; `key_refused`: "
                    "GAPGPT_API_KEY.",
                    [
                        Query(
                            "60 * sum by (outcome) "
                            "(rate(salehi_intent_llm_seconds_count[$__rate_interval]))",
                            "{{outcome}}",
                        )
                    ],
                    unit="cpm",
                ),
                Panel(
                    "What recordings held, per minute",
                    "Much `nothing_said` or `not_understood`: bad lines, or a wrong CALL_LANGUAGE.",
                    [per_minute("salehi_transcriptions_total", "outcome")],
                    unit="cpm",
                    stacked=True,
                ),
                Panel(
                    "Breakers",
                    "0: asked, 1: on trial, 2: passed over.",
                    [
                        Query("max by (engine) (salehi_speech_breaker_state)", "{{engine}}"),
                        Query("max(salehi_intent_llm_breaker)", "llm"),
                    ],
                ),
                Panel(
                    "Asked again, or given to the next, per minute",
                    "Retries and failovers. Steady: the first engine is unwell.",
                    [
                        Query(
                            "60 * sum by (engine) "
                            "(rate(salehi_speech_retries_total[$__rate_interval]))",
                            "{{engine}} again",
                        ),
                        Query(
                            "60 * sum by (engine) "
                            "(rate(salehi_stt_failovers_total[$__rate_interval]))",
                            "{{engine}} to the next",
                        ),
                    ],
                    unit="cpm",
                ),
                Panel(
                    "Who decided, per minute",
                    "`rules_fallback`: the LLM was wanted and did not answer.",
                    [per_minute("salehi_intent_decisions_total", "decided_by")],
                    unit="cpm",
                    stacked=True,
                ),
            ],
        ),
        Row(
            "On board",
            [
                Panel(
                    "Enhancing a recording",
                    "Part of each turn. Above 0.3 s the processor is full: add replicas.",
                    quantiles("salehi_enhance_seconds"),
                    unit="s",
                    warn_at=0.3,
                    width=8,
                ),
                Panel(
                    "Recordings that went on as they were, per minute",
                    "failed: ffmpeg is missing or unwell; skipped: there was no time for it.",
                    [
                        Query(
                            "60 * sum(rate(salehi_enhance_failures_total[$__rate_interval]))",
                            "failed",
                        ),
                        Query(
                            "60 * sum(rate(salehi_enhance_skipped_total[$__rate_interval]))",
                            "skipped",
                        ),
                    ],
                    unit="cpm",
                    width=8,
                ),
                Panel(
                    "Prompts brought to Asterisk, in this time",
                    "`failed`: AST_SOUND_DIR cannot be written, or nobody can speak; `stand_in`: "
                    "another engine of TTS_PROVIDERS spoke.",
                    [
                        Query(
                            "sum by (outcome) (increase(salehi_prompt_syncs_total[$__range]))",
                            "{{outcome}}",
                        )
                    ],
                    form="stat",
                    width=8,
                ),
            ],
        ),
        Row(
            "Cost",
            [
                Panel(
                    "Billed for transcriptions in this time",
                    "In each provider's own units, as it said.",
                    [
                        Query(
                            "sum by (engine) (increase(salehi_stt_units_total[$__range]))",
                            "{{engine}}",
                        )
                    ],
                    form="stat",
                    width=8,
                ),
                Panel(
                    "LLM tokens in this time",
                    "As the server said it bills them.",
                    [
                        Query(
                            "sum by (kind) (increase(salehi_intent_llm_tokens_total[$__range]))",
                            "{{kind}}",
                        )
                    ],
                    form="stat",
                    width=8,
                ),
                Panel(
                    "Saved: texts and answers known already, per minute",
                    "Spoken texts and LLM answers that were not paid for again.",
                    [
                        Query(_SAVED_TEXTS, "texts"),
                        Query(
                            "60 * sum(rate(salehi_intent_remembered_total[$__rate_interval]))",
                            "answers",
                        ),
                    ],
                    unit="cpm",
                    width=8,
                ),
            ],
        ),
    ],
)
