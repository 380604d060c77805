"""What is counted and logged of a call that is over."""

from __future__ import annotations

import structlog

from ari_gateway.metrics import CALL_SECONDS, CALLS, FAILURES
from ari_gateway.sessions.live import LiveCall

log = structlog.get_logger(__name__)


def count_ended(live: LiveCall) -> None:
    """Count a call that ended, and say so in the log."""
    record, direction = live.record, live.plan.direction
    verdict = record.verdict or record.judge()
    CALLS.labels(direction, verdict.result.value, record.disposition.value).inc()
    if verdict.reason and record.failure:
        FAILURES.labels(record.failure.reason).inc()
    if record.answered_at and record.ended_at:
        CALL_SECONDS.labels(direction).observe(
            (record.ended_at - record.answered_at).total_seconds()
        )
    log.info(
        "a call ended",
        attempt_id=live.plan.attempt_id,
        direction=direction,
        result=verdict.result.value,
        reason=verdict.reason or "-",
    )
