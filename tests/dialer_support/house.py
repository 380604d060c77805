"""A dialer's parts put together around a fake gateway, as the engine does it."""

from __future__ import annotations

from dialer.campaign import Campaign
from dialer.claim import Claimer, Rules
from dialer.gateway import Gateway
from dialer.ledger import Ledger
from dialer.numbers import DialTemplate, NumberPlan
from dialer.placing import Placer, Trunk
from dialer.readiness import Readiness
from dialer.reconciling import GRACE_S, Reconciler
from dialer.retries import RetryPolicy
from dialer.waking import Backoff, Bells
from dialer.watching import Watcher
from servicekit.clock import Clock
from servicekit.storage import Storage

PLAN = NumberPlan()
TRUNK = Trunk("trunk", DialTemplate("{line_last4}{number}"), None, 30)


class House:
    """The parts that turn claims into calls and calls into endings."""

    def __init__(self, storage: Storage, gateway: Gateway, rules: Rules, clock: Clock) -> None:
        self.bells = Bells()
        self.gateway = gateway
        self.ledger = Ledger(
            storage,
            policy=RetryPolicy(),
            plan=PLAN,
            clock=clock,
            bells=self.bells,
            line_rests_s=rules.pace.line_rests_s,
        )
        self.readiness = Readiness(gateway, clock)
        self.patience = Backoff(clock)
        self.claimer = Claimer(storage, rules, clock)
        self.placer = Placer(
            gateway,
            self.ledger,
            TRUNK,
            readiness=self.readiness,
            patience=self.patience,
            bells=self.bells,
            clock=clock,
        )
        self.watcher = Watcher(gateway, self.ledger, bells=self.bells, clock=clock)
        self.reconciler = Reconciler(
            gateway, self.ledger, bells=self.bells, clock=clock, grace_s=GRACE_S
        )
        self.campaign = Campaign(
            self.claimer,
            self.placer,
            readiness=self.readiness,
            patience=self.patience,
            bells=self.bells,
            clock=clock,
        )
