"""What is counted and logged of a call that is over."""

from __future__ import annotations

from collections import Counter

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
from ari_gateway.sessions.outcome import Result
from ari_gateway.sessions.plan import CallPlan

log = structlog.get_logger(__name__)


class LiveCounts:
    """Counts the calls that live now."""

    def __init__(self) -> None:
        self._called: Counter[str] = Counter()

    def begins(self, plan: CallPlan) -> None:
        """Count a call that begins."""
        LIVE_CALLS.labels(plan.direction).inc()
        if plan.inbound:
            return  # its line is whatever the caller dialled: no label
        LINE_CALLS.labels(plan.line).inc()
        number = plan.person.number
        if self._called[number]:
            DUPLICATE_DIALS.inc()
            log.error("a number is called twice at once", attempt_id=plan.attempt_id)
        self._called[number] += 1

    def is_gone(self, plan: CallPlan) -> None:
        """Count a call as live no more."""
        LIVE_CALLS.labels(plan.direction).dec()
        if plan.inbound:
            return
        LINE_CALLS.labels(plan.line).dec()
        self._called[plan.person.number] -= 1
        if not self._called[plan.person.number]:
            del self._called[plan.person.number]


def count_ended(live: LiveCall) -> None:
    """Count a call that ended, and say so in the log."""
    record, direction = live.record, live.plan.direction
    verdict = record.verdict or record.judge(inbound=live.plan.inbound)
    CALLS.labels(direction, verdict.result.value, record.disposition.value).inc()
    if verdict.result is Result.FAILED:
        # Free text makes no label: there would be no end to them.
        asked = isinstance(live.over, EndedOnRequest)
        FAILURES.labels("ended_on_request" if asked else verdict.reason).inc()
    if record.answered_at and record.ended_at:
        CALL_SECONDS.labels(direction).observe(
            (record.ended_at - record.answered_at).total_seconds()
        )
    log.info(
        "a call ended",
        direction=direction,
        result=verdict.result.value,
        reason=verdict.reason or "-",
    )
