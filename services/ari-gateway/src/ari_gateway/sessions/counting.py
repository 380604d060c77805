"""What is counted and logged of a call that is over."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from ari_gateway.metrics import (
    CALL_SECONDS,
    CALLS,
    DUPLICATE_DIALS,
    FAILURES,
    LINE_CALLS,
    LIVE_CALLS,
)
from ari_gateway.sessions.endings import EndedOnRequest
from ari_gateway.sessions.live import LiveCall

log = structlog.get_logger(__name__)


def count_live(live: LiveCall, others: Iterable[LiveCall]) -> None:
    """Count a call that begins; `others` are the live ones."""
    plan = live.plan
    LIVE_CALLS.labels(plan.direction).inc()
    if plan.inbound:
        return  # its line is whatever the caller dialled: no label
    LINE_CALLS.labels(plan.line).inc()
    numbers = (other.plan.person.number for other in others if not other.plan.inbound)
    if plan.person.number in numbers:
        DUPLICATE_DIALS.inc()
        log.error("a number is called twice at once", attempt_id=plan.attempt_id)


def count_gone(live: LiveCall) -> None:
    """Count a call as live no more."""
    LIVE_CALLS.labels(live.plan.direction).dec()
    if not live.plan.inbound:
        LINE_CALLS.labels(live.plan.line).dec()


def count_ended(live: LiveCall) -> None:
    """Count a call that ended, and say so in the log."""
    record, direction = live.record, live.plan.direction
    verdict = record.verdict or record.judge()
    CALLS.labels(direction, verdict.result.value, record.disposition.value).inc()
    if verdict.reason and record.failure:
        # Free text makes no label: there would be no end to them.
        asked = isinstance(live.over, EndedOnRequest)
        FAILURES.labels("ended_on_request" if asked else record.failure.reason).inc()
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
