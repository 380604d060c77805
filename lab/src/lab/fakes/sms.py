"""Fake SMS gateways, Melipayamak's console and Kavenegar; refusals come with HTTP 200.

Settable: `api_key` (empty takes any), `refusal` (text that refuses every message; empty: none).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lab.fakes.base import Fake, Handler, reject_unknown

_LINK = re.compile(r"https?://|www\.", re.IGNORECASE)


class FakeSms(Fake):
    """Accepts one recipient per message and no links."""

    def reset(self) -> None:
        """Forgets what was sent."""
        self.api_key = ""
        self.refusal = ""
        self.sent: list[dict[str, str]] = []

    def configure(self, wanted: dict[str, Any]) -> None:
        """Sets api_key, refusal."""
        reject_unknown(wanted, "api_key", "refusal")
        self.api_key = str(wanted.get("api_key", self.api_key))
        self.refusal = str(wanted.get("refusal", self.refusal))

    def state(self) -> dict[str, Any]:
        """Returns what was accepted."""
        return {"sent": self.sent, "refusal": self.refusal}

    def routes(self) -> Sequence[tuple[str, str, Handler]]:
        """Returns the send call of each gateway."""
        return [
            ("POST", "/api/send/advanced/{key}", self._melipayamak),
            ("POST", "/v1/{key}/sms/send.json", self._kavenegar),
        ]

    def refuse_for_credit(self, variant: str) -> Response:
        """Returns Melipayamak's refusal, or Kavenegar's where `variant` is `kavenegar`."""
        if variant == "kavenegar":
            return _kavenegar_answer(418, "اعتبار حساب کافی نیست")
        return _melipayamak_refusal("اعتبار کافی نیست")

    async def _melipayamak(self, request: Request) -> Response:
        try:
            message = json.loads(await request.body())
            to, text, sender = message["to"], message["text"], message["from"]
        except (ValueError, KeyError, TypeError):
            return _melipayamak_refusal("اطلاعات ارسالی ناقص است")
        refusal = self._why_not(request, to if isinstance(to, list) else [], text)
        if refusal:
            return _melipayamak_refusal(refusal)
        self.sent.append({"from": sender, "to": to[0], "text": text})
        return JSONResponse({"recIds": [4_000_000_000 + len(self.sent)], "status": ""})

    async def _kavenegar(self, request: Request) -> Response:
        async with request.form() as form:
            receptors = [part for part in str(form.get("receptor", "")).split(",") if part]
            text, sender = str(form.get("message", "")), str(form.get("sender", ""))
        refusal = self._why_not(request, receptors, text)
        if refusal:
            return _kavenegar_answer(400, refusal)
        self.sent.append({"from": sender, "to": receptors[0], "text": text})
        entry = {"messageid": len(self.sent), "message": text, "receptor": receptors[0]}
        return _kavenegar_answer(200, "تایید شد", entry)

    def _why_not(self, request: Request, to: list[str], text: str) -> str:
        if self.api_key and request.path_params["key"] != self.api_key:
            return "کلید وب‌سرویس معتبر نیست"
        if not text:
            return "متن خالی است"
        if len(to) != 1:
            return "ارسال گروهی مجاز نیست"
        if _LINK.search(text):
            return "ارسال لینک مجاز نیست"
        return self.refusal


def _melipayamak_refusal(reason: str) -> Response:
    return JSONResponse({"recIds": [], "status": reason})


def _kavenegar_answer(status: int, message: str, *entries: dict[str, Any]) -> Response:
    verdict = {"status": status, "message": message}
    return JSONResponse({"return": verdict, "entries": list(entries)})
