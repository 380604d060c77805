"""Figures of the intent service."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

DECISIONS = Counter(
    "salehi_intent_decisions_total",
    "Replies decided, by what they meant and who decided",
    ["language", "intent", "decided_by"],
)
LLM_SECONDS = Histogram(
    "salehi_intent_llm_seconds",
    "Time of one question to the LLM, by what became of it",
    ["outcome"],
    buckets=(0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20),
)
LLM_IN_FLIGHT = Gauge("salehi_intent_llm_in_flight", "Questions the LLM is answering now")
LLM_WAITING = Gauge("salehi_intent_llm_waiting", "Questions waiting for a free place")
REMEMBERED = Counter("salehi_intent_remembered_total", "Answers of the LLM given from memory")
