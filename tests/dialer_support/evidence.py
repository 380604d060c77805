"""What a campaign left behind, on the trunk and in the books, and whether it kept its promises."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from dialer.identities import panel_attempt_id
from dialer.limits import Line
from dialer.retries import RetryPolicy
from dialer.screening import DO_NOT_CALL
from dialer.tables import (
    AttemptState,
    ContactState,
    Source,
    attempts,
    batches,
    contacts,
    do_not_call,
    reports,
)
from dialer_support.campaign import rows_of
from dialer_support.network import Originate
from salehi.calls.v1 import calls_pb2
from salehi.reporter.v1.reporter_pb2 import ReportResultRequest
from servicekit.storage import Storage
from support.timing import eventually

_MINUTE_S = 60.0
# What was claimed before an entry or a pause was acknowledged leaves within this.
UNDER_WAY_S = 1.0


@dataclass(frozen=True)
class Books:
    """The dialer's database, read whole."""

    attempts: Sequence[Mapping[str, Any]]
    contacts: Sequence[Mapping[str, Any]]
    do_not_call: Sequence[Mapping[str, Any]]
    batches: Sequence[Mapping[str, Any]]
    reports: Sequence[Mapping[str, Any]]

    @classmethod
    async def read(cls, storage: Storage) -> Self:
        """Read everything."""
        tables = (attempts, contacts, do_not_call, batches, reports)
        return cls(*[await rows_of(storage, table) for table in tables])


async def settled_books(storage: Storage, *, all_reported: bool = True) -> Books:
    """Wait until no attempt is open, and with `all_reported` no report waits; give the books."""
    books = await Books.read(storage)

    async def are_settled() -> bool:
        nonlocal books
        books = await Books.read(storage)
        ended = all(attempt["state"] == AttemptState.ENDED for attempt in books.attempts)
        return ended and not (all_reported and books.reports)

    await eventually(are_settled, within_s=60)
    return books


def check_lines(calls: Iterable[Originate], lines: Iterable[Line], spacing_s: float) -> None:
    """No line ever carried too many calls at once or in 60 seconds, or two too close together."""
    by_line: defaultdict[str, list[Originate]] = defaultdict(list)
    for call in sorted(calls, key=lambda call: call.at_s):
        by_line[call.line].append(call)
    known = {line.number: line.limits for line in lines}
    assert set(by_line) <= set(known), "a call on a line that is none"
    for number, on_line in by_line.items():
        limits = known[number]
        assert most_at_once(on_line) <= limits.max_concurrent, f"too many calls on {number}"
        for first, over in zip(on_line, on_line[limits.max_per_minute :], strict=False):
            gap_s = over.at_s - first.at_s
            assert gap_s >= _MINUTE_S, f"too many calls on {number} in {gap_s} s"
        for one, following in itertools.pairwise(on_line):
            gap_s = following.at_s - one.at_s
            assert gap_s >= spacing_s, f"two calls on {number} within {gap_s} s"


def check_days(calls: Mapping[str, Originate], books: Books, lines: Iterable[Line]) -> None:
    """No line carried more calls than allowed on one local day, the claim's."""
    days = Counter(
        (attempt["line"], attempt["local_date"])
        for attempt in books.attempts
        if attempt["id"] in calls
    )
    limits = {line.number: line.limits.max_per_day for line in lines}
    for (line, _), count in days.items():
        assert count <= limits[line], f"{count} calls on {line} in one day"


def most_at_once(calls: Iterable[Originate]) -> int:
    """Give the largest number of calls that lived at one moment."""
    steps: list[tuple[float, int]] = []
    for call in calls:
        assert call.ended_s is not None, "a call that never ended"
        steps += [(call.at_s, 1), (call.ended_s, -1)]
    return max(itertools.accumulate(step for _, step in sorted(steps)), default=0)


def check_people(calls: Iterable[Originate], listed_s: Mapping[str, float]) -> None:
    """Nobody had two live calls, nor a call after asking for none or landing on the list."""
    by_person: defaultdict[str, list[Originate]] = defaultdict(list)
    for call in sorted(calls, key=lambda call: call.at_s):
        by_person[call.number].append(call)
    for person, theirs in by_person.items():
        assert most_at_once(theirs) == 1, "two live calls to one person"
        for before in theirs[:-1]:
            assert not before.opted_out, "called again after an opt-out"
        last_s = listed_s.get(person, theirs[-1].at_s) + UNDER_WAY_S
        assert theirs[-1].at_s <= last_s, "called though on the do-not-call list"


def check_gaps(books: Books, gap_s: float) -> None:
    """Calls to one person for different contacts were claimed with a gap between them."""
    by_person: defaultdict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for attempt in sorted(books.attempts, key=lambda attempt: attempt["claimed_at_ms"]):
        by_person[attempt["number"]].append(attempt)
    for theirs in by_person.values():
        for one, following in itertools.pairwise(theirs):
            apart_ms = following["claimed_at_ms"] - one["claimed_at_ms"]
            same = one["contact_id"] == following["contact_id"]
            assert same or apart_ms >= gap_s * 1000, f"called again after {apart_ms} ms"


def check_attempts(
    calls: Mapping[str, Originate], asked: Iterable[calls_pb2.PlaceCallRequest], books: Books
) -> None:
    """Each attempt was asked for at most once, and ended with the result its call had."""
    repeated = {key: n for key, n in Counter(one.attempt_id for one in asked).items() if n > 1}
    assert not repeated, f"asked for more than once: {repeated}"
    kept = {attempt["id"]: attempt for attempt in books.attempts}
    assert calls.keys() <= kept.keys(), "a call left whose attempt is not on record"
    for attempt_id, attempt in kept.items():
        assert attempt["state"] == AttemptState.ENDED, f"{attempt_id} is {attempt['state']}"
        assert attempt["ended_at_ms"] >= attempt["claimed_at_ms"]
        call = calls.get(attempt_id)
        if call is None:
            assert attempt["result"] == calls_pb2.RESULT_FAILED
            assert attempt["reason"] in {"unknown_outcome", "invalid_request"}, attempt["reason"]
        else:
            assert (attempt["line"], attempt["number"]) == (call.line, call.number)
            outcome = (attempt["result"], attempt["disposition"])
            assert outcome == (call.result, call.disposition), f"{attempt_id} ended as another"


def check_reports(
    calls: Mapping[str, Originate],
    reported: Sequence[ReportResultRequest],
    books: Books,
    invalid: Iterable[tuple[str, int]],
) -> None:
    """Exactly what the gateway never had was reported; a repeat said the same once more.

    Args:
        calls: what left, by attempt.
        reported: everything the reporter was told.
        books: the database in the end.
        invalid: batch and number id of each number handed out that cannot be dialled.
    """
    first: dict[str, ReportResultRequest] = {}
    for report in reported:
        assert first.setdefault(report.attempt_id, report) == report, "two results for one attempt"
    expected = {attempt["id"] for attempt in books.attempts} - calls.keys()
    refused = [
        (contact["panel_batch_id"], contact["panel_number_id"])
        for contact in books.contacts
        if contact["source"] == Source.PANEL and contact["drop_reason"] == DO_NOT_CALL
    ]
    expected |= {panel_attempt_id(*key) for key in [*refused, *invalid]}
    assert first.keys() == expected, (len(first.keys() - expected), len(expected - first.keys()))
    assert not books.reports, "results that never left"


def check_contacts(books: Books, policy: RetryPolicy, handed_out: Iterable[str]) -> None:
    """No contact is lost or dialled against the policy.

    Args:
        books: the database in the end.
        policy: how often who is retried.
        handed_out: dedupe keys of everybody who must be on record.
    """
    assert {contact["dedupe_key"] for contact in books.contacts} == set(handed_out)
    tries: defaultdict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for attempt in sorted(books.attempts, key=lambda attempt: attempt["claimed_at_ms"]):
        tries[attempt["contact_id"]].append(attempt)
    listed = {entry["number"] for entry in books.do_not_call}
    for contact in books.contacts:
        made = tries[contact["id"]]
        assert contact["attempts_made"] == len(made), "attempts miscounted"
        retried = [*made[:-1], *(made[-1:] if contact["state"] == ContactState.WAITING else ())]
        for position, attempt in enumerate(retried, start=1):
            assert contact["source"] == Source.FILE, "another's contact was retried"
            assert policy.delay_s(attempt["disposition"], position) is not None, "retried in vain"
        match contact["state"]:
            case ContactState.DONE:
                assert made, "done without an attempt"
                due = policy.delay_s(made[-1]["disposition"], len(made))
                may_wait = contact["source"] == Source.FILE and contact["number"] not in listed
                assert due is None or not may_wait, "a retry was forgotten"
            case ContactState.DROPPED:
                assert contact["number"] in listed, contact["drop_reason"]
            case state:
                assert state == ContactState.WAITING, "a contact is held by nobody"
