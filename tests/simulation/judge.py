"""What must hold whatever happens, judged by what reaches the trunk."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from dataclasses import dataclass

from dialer.attempts import Claim
from dialer.claim import Rules
from dialer.limits import MINUTE_MS, LineLimits
from dialer.moments import moment_of, now_ms
from dialer.pauses import PauseKind
from dialer.retries import RetryPolicy
from dialer.tables import Source
from salehi.calls.v1.calls_pb2 import Call, CallState, Direction, PlaceCallRequest
from salehi.intent.v1.intent_pb2 import Intent
from simulation.records import Records
from support.timing import HandClock

# What was claimed before a stop or a do-not-call entry leaves within this.
_UNDER_WAY_MS = 1000


class BrokenPromise(AssertionError):  # noqa: N818 - named as what happened
    """Something happened that must never happen."""


@dataclass
class _Contact:
    """What became of one contact's attempts so far."""

    calls_left: int = 0
    ended_ms: int = 0
    disposition: int = 0


class Judge:
    """Sees claims, calls that leave and end, stops and lists; speaks up at the first wrong one.

    Attributes:
        left_ids: every attempt whose call left.
        results: how many results the gateway reported of each attempt.
        seen: how often what was seen.
    """

    def __init__(self, rules: Rules, policy: RetryPolicy, clock: HandClock) -> None:
        self._rules = rules
        self._policy = policy
        self._clock = clock
        self._limits = {line.number: line.limits for line in rules.lines}
        self._claims: dict[str, Claim] = {}
        self._asked: set[str] = set()
        self._live: dict[str, PlaceCallRequest] = {}
        self._live_on: Counter[str] = Counter()
        self._live_people: set[str] = set()
        self._left_ms = {
            line.number: deque[int](maxlen=line.limits.max_per_minute) for line in rules.lines
        }
        self._days: Counter[tuple[str, str]] = Counter()
        self._last_claim: dict[str, Claim] = {}
        self._contacts: defaultdict[int, _Contact] = defaultdict(_Contact)
        self._told_inbound: dict[str, tuple[str, str]] = {}
        self._listed_ms: dict[str, int] = {}
        self._expires_ms: dict[tuple[str, int], int] = {}
        self._unheard: dict[str, str] = {}
        self._held_ms: dict[PauseKind, int] = {}
        self._trials = 0
        self.left_ids: set[str] = set()
        self.results: Counter[str] = Counter()
        self.seen: Counter[str] = Counter()

    def claimed(self, claim: Claim) -> None:
        """A replica was given a claim: there must be room for it, and its person free."""
        now = now_ms(self._clock)
        window = self._rules.window
        _insist(window.is_open(self._clock.now()), "claimed outside the window")
        _insist(claim.claimed_at_ms == now, "claimed at another moment than the present")
        number = claim.contact.number
        _insist(number not in self._listed_ms, "claimed though on the do-not-call list")
        _insist(
            all(number != caller for _, caller in self._told_inbound.values()),
            "claimed a person who is on the phone with us",
        )
        on_line = self._live_on[claim.line] + self._inbound_on(claim.line)
        limit = self._limits[claim.line].max_concurrent
        _insist(on_line < limit, "claimed on a line that is full")
        total = self._rules.pace.max_total
        active = len(self._live) + len(self._told_inbound)
        _insist(total is None or active < total, "claimed over the cap of all lines")
        self._claims[claim.attempt_id] = claim

    def asked(self, attempt_id: str) -> None:
        """The gateway was asked for a call: once per attempt, and only for a claimed one."""
        _insist(attempt_id not in self._asked, "the gateway was asked twice for one attempt")
        _insist(attempt_id in self._claims, "the gateway was asked for something never claimed")
        self._asked.add(attempt_id)

    def left(self, request: PlaceCallRequest) -> None:
        """A call appeared on the trunk."""
        claim = self._claims[request.attempt_id]
        _insist(request.attempt_id not in self.left_ids, "one attempt was dialled twice")
        self.left_ids.add(request.attempt_id)
        now = now_ms(self._clock)
        self._check_permission(claim, now)
        self._check_line(claim, now)
        self._check_person(claim)
        self._live[request.attempt_id] = request
        self._live_on[claim.line] += 1
        self._live_people.add(claim.contact.number)
        self.seen["calls dialled"] += 1

    def ended(self, call: Call) -> None:
        """A call is over, and the gateway reported its result."""
        self.results[call.attempt_id] += 1
        _insist(self.results[call.attempt_id] == 1, "a call ended twice")
        self._told_inbound.pop(call.attempt_id, None)
        if any(turn.intent == Intent.INTENT_DO_NOT_CALL for turn in call.outcome.turns):
            self._unheard[call.attempt_id] = call.contact.number
        request = self._live.pop(call.attempt_id, None)
        if request is None:
            return
        self._live_on[request.line] -= 1
        self._live_people.discard(request.contact.number)
        contact = self._contacts[self._claims[call.attempt_id].contact.id]
        contact.ended_ms = now_ms(self._clock)
        contact.disposition = call.outcome.disposition

    def told(self, call: Call) -> None:
        """A dialer has written down a call's news."""
        if call.state == CallState.CALL_STATE_ENDED:
            self._heard(call.attempt_id)
        elif call.direction == Direction.DIRECTION_INBOUND and not self.results[call.attempt_id]:
            self._told_inbound[call.attempt_id] = (call.line, call.contact.number)

    def compared(self) -> None:
        """A dialer has compared its attempts with all the gateway knows."""
        for attempt_id in list(self._unheard):
            if attempt_id in self._claims:
                self._heard(attempt_id)

    def _heard(self, call_id: str) -> None:
        number = self._unheard.pop(call_id, None)
        if number is not None:
            self.listed(number)

    def listed(self, number: str) -> None:
        """A number is on the do-not-call list, acknowledged."""
        self._listed_ms.setdefault(number, now_ms(self._clock))

    def unlisted(self, number: str) -> None:
        """A number is being taken off the do-not-call list."""
        self._listed_ms.pop(number, None)

    def expires(self, batch_id: str, number_id: int, at_ms: int) -> None:
        """A panel's number must not be dialled from a moment on."""
        self._expires_ms[batch_id, number_id] = at_ms

    def held(self, kind: PauseKind) -> None:
        """Dialing is stopped, acknowledged."""
        if kind not in self._held_ms:
            self._held_ms[kind] = now_ms(self._clock)

    def lifted(self, kind: PauseKind) -> None:
        """One kind of stop is being lifted."""
        self._held_ms.pop(kind, None)
        if kind is PauseKind.BREAKER:
            self._trials = 0

    def granted(self, trials: int) -> None:
        """So many more calls may be dialled though the breaker is open."""
        self._trials += trials

    def check_end(self, records: Records) -> None:
        """Nothing is under way any more: compare with what the dialers have on record."""
        _insist(records.open_ == 0, "an attempt did not end")
        _insist(records.in_limbo == 0, "a contact was never settled")
        by_gateway = {key for key in self.results if key in self._claims}
        _insist(self.left_ids <= records.kept, "a call left whose attempt is not on record")
        _insist(self.left_ids <= by_gateway, "a call left and never ended")
        _insist(not by_gateway & records.reported, "an attempt was reported twice")
        _insist(records.kept <= by_gateway | records.reported, "an attempt has no result")
        self.seen["attempts"] += len(records.kept)
        self.seen["outcomes never known"] += len(records.kept - by_gateway)

    def _inbound_on(self, line: str) -> int:
        return sum(1 for on, _ in self._told_inbound.values() if on == line)

    def _check_permission(self, claim: Claim, now: int) -> None:
        _insist(self._rules.window.is_open(self._clock.now()), "dialled outside the window")
        listed_ms = self._listed_ms.get(claim.contact.number, now)
        _insist(now <= listed_ms + _UNDER_WAY_MS, "dialled though on the do-not-call list")
        stops = {kind for kind, at_ms in self._held_ms.items() if now > at_ms + _UNDER_WAY_MS}
        if stops:
            self._trials -= 1
            on_trial = stops == {PauseKind.BREAKER} and self._trials >= 0
            _insist(on_trial, "dialled after a stop")
            self.seen["trial calls"] += 1

    def _check_line(self, claim: Claim, now: int) -> None:
        limits: LineLimits = self._limits[claim.line]
        _insist(self._live_on[claim.line] < limits.max_concurrent, "too many calls on a line")
        total = self._rules.pace.max_total
        _insist(total is None or len(self._live) < total, "too many calls on all lines")
        left_ms = self._left_ms[claim.line]
        crowded = len(left_ms) == limits.max_per_minute and now - left_ms[0] < MINUTE_MS
        _insist(not crowded, "too many calls in 60 seconds")
        close = bool(left_ms) and now - left_ms[-1] < self._rules.pace.spacing_ms
        _insist(not close, "two calls too close together on one line")
        left_ms.append(now)
        day = self._rules.window.local_date(moment_of(claim.claimed_at_ms)).isoformat()
        self._days[claim.line, day] += 1
        _insist(self._days[claim.line, day] <= limits.max_per_day, "too many calls in one day")

    def _check_person(self, claim: Claim) -> None:
        person = claim.contact
        _insist(person.number not in self._live_people, "two live calls to one person")
        last = self._last_claim.get(person.number)
        if last is not None and last.contact.id != person.id:
            gap_ms = claim.claimed_at_ms - last.claimed_at_ms
            _insist(gap_ms >= self._rules.min_gap_ms, "a person was called again too soon")
        self._last_claim[person.number] = claim
        if person.source is Source.PANEL:
            expires_ms = self._expires_ms[person.panel_batch_id, person.panel_number_id]
            _insist(claim.claimed_at_ms < expires_ms, "dialled after the panel's lock ran out")
        contact = self._contacts[person.id]
        if contact.calls_left:
            self._check_retry(claim, contact)
        contact.calls_left += 1

    def _check_retry(self, claim: Claim, contact: _Contact) -> None:
        _insist(claim.contact.source is Source.FILE, "a contact that is not ours was redialled")
        allowed = self._policy.rules.get(contact.disposition)
        if allowed is None or contact.calls_left > allowed.retries:
            raise BrokenPromise("a contact was redialled against the policy")
        due_ms = contact.ended_ms + allowed.delay_s * 1000
        _insist(claim.claimed_at_ms >= due_ms, "a contact was redialled too soon")
        self.seen["retries"] += 1


def _insist(holds: bool, promise: str) -> None:  # noqa: FBT001 - reads as the assertion it is
    if not holds:
        raise BrokenPromise(promise)
