"""A fake campaign panel: hands out numbers under a lock and counts every report.

Settable: `numbers` ([{id, phone_number}], added to those it has), `token` (empty takes any),
`call_allowed`, `reason` and `retry_after_seconds` (what it says while calls are not allowed),
`lock_s` (seconds a number stays handed out), `advance_s` (moves the panel's clock on),
`require_company` (true is the newer panel, which insists on `company`).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lab.fakes.base import Fake, Handler, reject_unknown

_TEHRAN = ZoneInfo("Asia/Tehran")
_MAX_BATCH = 500
_LOCK_S = 3600.0
_REASONS = {"disabled", "holiday", "no_window", "outside_allowed_time_window", "insufficient_funds"}
_STATUSES = {"CONNECTED", "NOT_INTERESTED", "MISSED", "HANGUP", "DISCONNECTED", "FAILED"}
_NEWER_STATUSES = {"BUSY", "POWER_OFF", "BANNED", "UNKNOWN", "INBOUND_CALL"}


@dataclass
class _Number:
    phone_number: str
    locked_until: datetime | None = None
    reports: int = 0


class FakePanel(Fake):
    """One panel with its own clock, which only runs ahead of the real one."""

    def reset(self) -> None:
        """Goes back to an empty panel that allows calls."""
        self.numbers: dict[int, _Number] = {}
        self.reports: list[dict[str, Any]] = []
        self.token = ""
        self.call_allowed = True
        self.reason = "disabled"
        self.retry_after_seconds = 60
        self.require_company = False
        self.lock_s = _LOCK_S
        self._ahead = timedelta()
        self._version = 1
        self._batch_ids = itertools.count(1)

    def configure(self, wanted: dict[str, Any]) -> None:
        """Sets what the module's description lists."""
        settable = ("token", "call_allowed", "reason", "retry_after_seconds", "lock_s")
        reject_unknown(wanted, *settable, "require_company", "numbers", "advance_s")
        if wanted.get("reason", self.reason) not in _REASONS:
            raise ValueError(f"reason must be one of {', '.join(sorted(_REASONS))}")
        for name in (*settable, "require_company"):
            if name in wanted:
                setattr(self, name, wanted[name])
        for number in wanted.get("numbers", ()):
            self.numbers[int(number["id"])] = _Number(str(number["phone_number"]))
        self._ahead += timedelta(seconds=float(wanted.get("advance_s", 0)))
        self._version += 1

    def state(self) -> dict[str, Any]:
        """Returns whether calls are allowed, the reports, and what became of each number."""
        now = self._now()
        numbers = [
            {
                "id": number_id,
                "phone_number": number.phone_number,
                "locked": number.locked_until is not None and number.locked_until > now,
                "reports": number.reports,
            }
            for number_id, number in self.numbers.items()
        ]
        return {"call_allowed": self.call_allowed, "numbers": numbers, "reports": self.reports}

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """Returns the two calls a dialer makes."""
        return [
            ("GET", "/api/dialer/next-batch", self._next_batch),
            ("POST", "/api/dialer/report-result", self._report),
        ]

    async def _next_batch(self, request: Request) -> Response:
        refusal = self._refuse(request, request.query_params.get("company"))
        if refusal is not None:
            return refusal
        size = request.query_params.get("size", "10")
        if not size.isascii() or not size.isdigit() or int(size) < 1:
            return JSONResponse({"error": "size must be a positive number"}, 422)
        if not self.call_allowed:
            return JSONResponse(self._envelope())
        size_allowed = min(int(size), _MAX_BATCH)
        numbers = self._hand_out(size_allowed)
        batch = {
            "batch_id": f"batch-{next(self._batch_ids)}",
            "size_requested": size_allowed,
            "size_returned": len(numbers),
            "numbers": numbers,
        }
        return JSONResponse({**self._envelope(), "batch": batch})

    def _hand_out(self, size: int) -> list[dict[str, Any]]:
        now = self._now()
        free = [
            (number_id, number)
            for number_id, number in self.numbers.items()
            if not number.reports and (number.locked_until is None or number.locked_until <= now)
        ][:size]
        for _, number in free:
            number.locked_until = now + timedelta(seconds=self.lock_s)
        return [{"id": number_id, "phone_number": n.phone_number} for number_id, n in free]

    async def _report(self, request: Request) -> Response:
        try:
            report = json.loads(await request.body())
            number_id, phone_number = report["number_id"], report["phone_number"]
            attempted_at = datetime.fromisoformat(report["attempted_at"])
            status = report["status"]
        except (ValueError, KeyError, TypeError):
            return JSONResponse({"error": "number_id, phone_number, status, attempted_at"}, 422)
        refusal = self._refuse(request, report.get("company"))
        if refusal is not None:
            return refusal
        allowed = _STATUSES | (_NEWER_STATUSES if self.require_company else set())
        if status not in allowed or attempted_at.tzinfo is None:
            return JSONResponse({"error": "status or attempted_at is not allowed"}, 422)
        number = self.numbers.get(number_id) if isinstance(number_id, int) else None
        if number is None or number.phone_number != phone_number:
            return JSONResponse({"error": "number not found"}, 404)
        number.reports += 1
        self.reports.append(report)
        if report.get("call_allowed") is False:
            self.call_allowed, self.reason = False, "disabled"
        return JSONResponse({"ok": True})

    def _refuse(self, request: Request, company: object) -> Response | None:
        if self.token and request.headers.get("authorization") != f"Bearer {self.token}":
            return JSONResponse({"error": "unauthenticated"}, 401)
        if self.require_company and not company:
            return JSONResponse({"error": "company is required"}, 422)
        return None

    def _envelope(self) -> dict[str, Any]:
        return {
            "call_allowed": self.call_allowed,
            "timezone": "Asia/Tehran",
            "server_time": self._now().astimezone(_TEHRAN).isoformat(),
            "schedule_version": self._version,
            "reason": None if self.call_allowed else self.reason,
            "retry_after_seconds": None if self.call_allowed else self.retry_after_seconds,
        }

    def _now(self) -> datetime:
        return datetime.now(UTC) + self._ahead
