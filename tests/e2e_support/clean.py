"""What must be true after any fault."""

from __future__ import annotations

import itertools
import re

from e2e_support import lab
from e2e_support.stack import NO_CAMPAIGN, Stack, eventually
from lab import troubles
from salehi.calls.v1 import calls_pb2
from salehi.dialer.v1 import dialer_pb2

_SETTLED_S = 30
_OUR_RECORDING = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-r\d+")
_next_numbers = itertools.count(10)


async def clean(running: Stack) -> None:
    """Check that nothing is left, every call has one result, and the next call works."""
    await _settled(running)
    await nothing_on_asterisk()
    results = await _results_of_attempts(running)
    number = f"0912999{next(_next_numbers)}{troubles.LEAVES_AT_ONCE}"
    await call(running, number)

    async def next_call_ended() -> bool:
        return len(await _results_of_attempts(running)) == len(results) + 1

    await eventually(next_call_ended, within_s=_SETTLED_S, what="the result of the next call")
    await _settled(running)
    after = await _results_of_attempts(running)
    assert [after[attempt] for attempt in after.keys() - results.keys()] == ["hangup"]
    await nothing_on_asterisk()


async def call(running: Stack, *numbers: str) -> None:
    """Add contacts to the campaign."""
    csv = "\n".join(("number", *numbers, "")).encode()
    async with running.dialer() as dialer:
        request = dialer_pb2.ImportContactsRequest(csv=csv)
        imported = await dialer.ImportContacts(iter([request]), timeout=10)
    assert imported.accepted == len(numbers), imported


async def nothing_on_asterisk() -> None:
    """Check that no channel, no bridge and no recording is left on Asterisk."""
    async with lab.ari() as ari:
        left: list[object] = []

        async def empty() -> bool:
            left[:] = [
                item.get("id") or item.get("name")
                for path in ("/channels", "/bridges", "/recordings/stored")
                for item in (await ari.get(path)).json()
                if "recordings" not in path or _OUR_RECORDING.fullmatch(item["name"])
            ]
            return not left

        try:
            await eventually(empty, within_s=15, what="nothing left on Asterisk")
        except AssertionError as error:
            raise AssertionError(f"{error}: {left}") from error


async def _settled(running: Stack) -> None:
    """Wait until no call is live and every line and operator is free."""
    state: list[object] = []

    async def idle() -> bool:
        async with running.dialer() as dialer:
            status = await dialer.GetStatus(dialer_pb2.GetStatusRequest(), timeout=5)
        state[:] = [status, await running.live_calls()]
        return (
            not state[1]
            and status.attempts_open == 0
            and status.contacts_waiting == 0
            and all(line.active == 0 for line in status.lines)
        )

    try:
        await eventually(idle, within_s=_SETTLED_S, what="every line free")
    except AssertionError as error:
        raise AssertionError(f"{error}: {state}") from error


async def _results_of_attempts(running: Stack) -> dict[str, str]:
    """Give the result of each attempt; every attempt that ended has exactly one, the same."""
    attempts = await running.attempts()
    outbound = [
        record
        for record in await running.results()
        if record.report.direction == calls_pb2.DIRECTION_OUTBOUND
        and record.report.contact.source != NO_CAMPAIGN
    ]
    results = {record.report.attempt_id: record.result for record in outbound}
    assert len(results) == len(outbound)
    assert results.keys() <= {attempt.attempt_id for attempt in attempts}
    for attempt in attempts:
        if attempt.attempt_id in results:
            assert attempt.result == calls_pb2.RESULT_UNSPECIFIED or (
                calls_pb2.Result.Name(attempt.result).removeprefix("RESULT_").lower()
                == results[attempt.attempt_id].partition(":")[0]
            )
    return results
