"""Asking the gateway for a claimed call, once."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from opentelemetry import trace

from dialer.attempts import INVALID_REQUEST, Claim, Ending
from dialer.errors import GatewayRefused, GatewayUnavailable, InvalidNumber, RequestRejected
from dialer.gateway import Gateway
from dialer.ledger import Ledger
from dialer.metrics import GATEWAY_REFUSALS, UNKNOWN_ANSWERS
from dialer.moments import now_ms, timestamp_of
from dialer.numbers import DialTemplate
from dialer.readiness import Readiness
from dialer.waking import Backoff, Bells
from salehi.calls.v1.calls_pb2 import PlaceCallRequest
from servicekit.clock import Clock
from servicekit.storage import StoreUnavailable
from servicekit.tracing import context_of, of_attempt

log = structlog.get_logger(__name__)
tracer = trace.get_tracer(__name__)


@dataclass(frozen=True)
class Trunk:
    """How calls leave.

    Attributes:
        name: the PJSIP endpoint.
        caller_id: shown to customers; None shows the line's number.
        ring_timeout_s: how long a phone may ring, seconds.
    """

    name: str
    template: DialTemplate
    caller_id: str | None
    ring_timeout_s: int

    def request(self, claim: Claim) -> PlaceCallRequest:
        """Give what the gateway is asked.

        Raises:
            InvalidNumber: line and number give no dial string.
        """
        dialled = self.template.dial_string(claim.line, claim.contact.number)
        return PlaceCallRequest(
            attempt_id=claim.attempt_id,
            endpoint=f"PJSIP/{dialled}@{self.name}",
            caller_id=self.caller_id or claim.line,
            line=claim.line,
            ring_timeout_s=self.ring_timeout_s,
            contact=claim.contact.message(),
            originate_before=timestamp_of(claim.originate_before_ms),
        )


class Placer:
    """Turns claims into calls, and writes down what the gateway answered."""

    def __init__(
        self,
        gateway: Gateway,
        ledger: Ledger,
        trunk: Trunk,
        *,
        readiness: Readiness,
        patience: Backoff,
        bells: Bells,
        clock: Clock,
    ) -> None:
        self._gateway = gateway
        self._ledger = ledger
        self._trunk = trunk
        self._readiness = readiness
        self._patience = patience
        self._bells = bells
        self._clock = clock

    async def place(self, claim: Claim) -> None:
        """Ask for the claimed call and settle the claim by the answer.

        Whatever stays unsettled (no answer, no database) is the reconciler's.
        """
        with (
            of_attempt(claim.attempt_id),
            tracer.start_as_current_span("place call", context_of(claim.traceparent)),
        ):
            try:
                await self._ask(claim)
            except StoreUnavailable as error:
                log.warning("the database is away: the attempt is settled later", reason=str(error))
                self._patience.failed()
                self._bells.reconcile.ring()

    async def _ask(self, claim: Claim) -> None:
        if now_ms(self._clock) >= claim.originate_before_ms:
            # The process or the database stood still, or the window closes: what was checked may no
            # longer hold.
            log.warning("a claim came too late to be dialled")
            self._patience.failed()
            await self._ledger.withdraw(claim.attempt_id)
            return
        if self._patience.remaining_s() > 0:  # another request was refused while this was claimed
            await self._ledger.withdraw(claim.attempt_id)
            return
        self._ledger.asked_for(claim.attempt_id)
        try:
            await self._gateway.place(self._trunk.request(claim))
        except GatewayRefused as error:
            await self._refused(claim, error)
        except GatewayUnavailable as error:
            self._unanswered(error)
        except (RequestRejected, InvalidNumber) as error:
            log.warning("a call cannot be asked for", reason=str(error))
            await self._ledger.end(claim.attempt_id, Ending.failed(INVALID_REQUEST))
        else:
            self._patience.succeeded()
            self._readiness.confirm()
            log.info("call placed", line=claim.line)

    async def _refused(self, claim: Claim, error: GatewayRefused) -> None:
        """Nothing was dialled: undo the claim, and ask less often."""
        GATEWAY_REFUSALS.inc()
        log.info("the gateway takes no call now", reason=str(error))
        self._patience.failed()
        self._readiness.doubt()
        await self._ledger.withdraw(claim.attempt_id)

    def _unanswered(self, error: GatewayUnavailable) -> None:
        """It may or may not be dialled: the slot stays taken until somebody knows."""
        UNKNOWN_ANSWERS.inc()
        log.warning("no answer to a call request: asking what became of it", reason=str(error))
        self._patience.failed()
        self._readiness.doubt()
        self._bells.reconcile.ring()
