"""What a call is, from its first moment: who is called, over what, and how."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from opentelemetry.context import Context

from servicekit.tracing import begin_trace, context_of, of_attempt


@dataclass(frozen=True)
class Person:
    """Who is at the far end; travels to the result untouched. Personal data."""

    source: str
    number: str
    panel_number_id: int = 0
    panel_batch_id: str = ""
    national_number: str = ""


@dataclass(frozen=True)
class CallPlan:
    """What a call is, from its first moment.

    Attributes:
        attempt_id: UUID of the attempt.
        channel_id: the customer's channel; outbound calls use the attempt id.
        endpoint: what is dialled; empty for inbound calls.
        line: our line that carries the call.
        originate_before: the originate leaves before this moment or never; aware, or None.
        traceparent: the trace position every span of the call is a child of; outlives any process,
            empty without tracing.
    """

    attempt_id: str
    channel_id: str
    person: Person
    line: str
    inbound: bool = False
    endpoint: str = ""
    caller_id: str = ""
    ring_timeout_s: int = 30
    scenario: str = "marketing_outreach"
    originate_before: datetime | None = None
    traceparent: str = ""

    @cached_property
    def trace(self) -> Context:
        """The trace position of the call."""
        return context_of(self.traceparent)

    @property
    def direction(self) -> str:
        """`inbound` or `outbound`."""
        return "inbound" if self.inbound else "outbound"

    @property
    def trunk(self) -> str:
        """PJSIP endpoint the call goes through; empty for an extension of this Asterisk."""
        return self.endpoint.partition("@")[2]


def inbound_plan(channel_id: str, caller_number: str, line: str) -> CallPlan:
    """Plan a call that came to a line of ours; its trace begins here."""
    attempt_id = str(uuid.uuid4())
    with of_attempt(attempt_id):
        position = begin_trace("inbound call")
    return CallPlan(
        attempt_id=attempt_id,
        channel_id=channel_id,
        person=Person("inbound", caller_number, national_number=caller_number),
        line=line,
        inbound=True,
        traceparent=position,
    )
