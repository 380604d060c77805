"""How the dialer's answers travel: the contract's messages made of the dialer's own records."""

from __future__ import annotations

from collections.abc import Iterable

from dialer.attempt_log import AttemptRecord
from dialer.csv_rows import BadRow
from dialer.moments import timestamp_of
from dialer.operators import OperatorLoad
from dialer.pauses import Pause, PauseKind
from dialer.status import LineUse, Status
from salehi.calls.v1.calls_pb2 import Result
from salehi.dialer.v1 import dialer_pb2

_KINDS = {
    PauseKind.MANUAL: dialer_pb2.PAUSE_KIND_MANUAL,
    PauseKind.BREAKER: dialer_pb2.PAUSE_KIND_BREAKER,
    PauseKind.PANEL: dialer_pb2.PAUSE_KIND_PANEL,
}


def status_of(status: Status, waiting_for: str) -> dialer_pb2.GetStatusResponse:
    """Give the status; why nothing is dialled is told by pauses, and only without them by more."""
    return dialer_pb2.GetStatusResponse(
        paused=bool(status.pauses),
        pauses=pauses_of(status.pauses),
        waiting_for="" if status.pauses else waiting_for,
        lines=[_line_of(use) for use in status.lines],
        contacts_waiting=status.contacts_waiting,
        attempts_open=status.attempts_open,
        attempts_done=status.attempts_done,
        operators=None if status.operators is None else _operators_of(status.operators),
    )


def pauses_of(pauses: Iterable[Pause]) -> list[dialer_pb2.PauseReason]:
    """Give pauses."""
    return [
        dialer_pb2.PauseReason(
            kind=_KINDS[pause.kind],
            reason=pause.reason,
            by=pause.by,
            since=timestamp_of(pause.since_ms),
            trial_calls=pause.trial_calls,
        )
        for pause in pauses
    ]


def rejected_of(rows: Iterable[BadRow]) -> list[dialer_pb2.RejectedRow]:
    """Give rows that were not taken."""
    return [dialer_pb2.RejectedRow(row=bad.row, reason=bad.reason) for bad in rows]


def attempt_of(record: AttemptRecord) -> dialer_pb2.Attempt:
    """Give an attempt."""
    return dialer_pb2.Attempt(
        attempt_id=record.attempt_id,
        line=record.line,
        contact=record.contact.message(),
        claimed_at=timestamp_of(record.claimed_at_ms),
        ended_at=None if record.ended_at_ms is None else timestamp_of(record.ended_at_ms),
        result=Result.ValueType(record.result),
        reason=record.reason,
    )


def _line_of(use: LineUse) -> dialer_pb2.LineStatus:
    limits = use.line.limits
    return dialer_pb2.LineStatus(
        line=use.line.number,
        active=use.active,
        max_concurrent=limits.max_concurrent,
        last_minute=use.last_minute,
        max_per_minute=limits.max_per_minute,
        today=use.today,
        max_per_day=limits.max_per_day,
    )


def _operators_of(load: OperatorLoad) -> dialer_pb2.OperatorLoad:
    return dialer_pb2.OperatorLoad(
        slots=load.slots,
        busy=load.busy,
        undecided=load.answered + load.dialing,
        share_of_yes=load.share_of_dialed,
    )
