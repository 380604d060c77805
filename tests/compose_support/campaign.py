"""A campaign of the panel in a compose project: numbers in, and what came of them."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import httpx

from compose_support.project import Project
from lab.demo.campaign import Campaign, Progress, campaign

_INVITE = re.compile(r"\tR\t(\S+)\t.*\tINVITE sip:\d{4}(\d{11})@")
"""Call-ID and number in a line of SIPp's list of messages; the line's last digits come first."""


async def until(holds: Callable[[], Awaitable[bool]], *, within_s: float, what: str) -> None:
    """Wait until something holds; fail with `what` when it does not."""
    deadline_s = time.monotonic() + within_s
    while not await holds():
        assert time.monotonic() < deadline_s, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.5)


class Observed:
    """A campaign as its panel, its services and the called see it."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._first_id = int(time.time()) * 1000
        self.numbers: dict[int, str] = {}

    async def add(self, *numbers: str) -> None:
        """Put more numbers into the panel."""
        more = {
            self._first_id + len(self.numbers) + position: number
            for position, number in enumerate(numbers)
        }
        self.numbers |= more
        listed = [{"id": key, "phone_number": number} for key, number in more.items()]
        async with self._panel() as panel:
            (await panel.post("/_control", json={"numbers": listed})).raise_for_status()

    async def progress(self) -> Progress | None:
        """Tell how it stands; None while a service is away."""
        async with self._services() as services:
            return await services.progress()

    async def results(self) -> dict[str, tuple[str, ...]]:
        """Give the results of each number that has any; none while a service is away."""
        progress = await self.progress()
        found: dict[str, tuple[str, ...]] = {}
        for record in progress.results if progress else ():
            number = self.numbers.get(record.report.contact.panel_number_id)
            if number is not None:
                found[number] = (*found.get(number, ()), record.result)
        return found

    async def unlike(self, wanted: set[str]) -> list[str]:
        """Tell of each contact with another result: the number, the result, and what was heard."""
        progress = await self.progress()
        return [
            f"{record.report.contact.national_number} {record.result}: "
            f"{[turn.heard for turn in record.report.outcome.turns]}"
            for record in (progress.results if progress else ())
            if record.report.contact.panel_number_id in self.numbers and record.result not in wanted
        ]

    async def reports(self) -> dict[str, int]:
        """Tell how often the panel was told of each number."""
        async with self._panel() as panel:
            told = (await panel.get("/_control")).raise_for_status().json()["numbers"]
        return {
            self.numbers[each["id"]]: each["reports"] for each in told if each["id"] in self.numbers
        }

    def calls(self) -> Counter[str]:
        """Count the calls that arrived at each number; a repeated INVITE is the same call."""
        messages = self._project.compose("exec", "phones", "cat", "/tmp/customers.messages")  # noqa: S108
        own = set(self.numbers.values())
        return Counter(number for _, number in set(_INVITE.findall(messages)) if number in own)

    def channels(self) -> str:
        """Say how many channels Asterisk has."""
        return self._project.compose(
            *("exec", "asterisk", "asterisk", "-C", "/srv/asterisk/etc/asterisk.conf"),
            *("-rx", "core show channels count"),
        ).splitlines()[0]

    def _panel(self) -> httpx.AsyncClient:
        address = self._project.address("fakes", 8071)
        return httpx.AsyncClient(base_url=f"http://{address}", trust_env=False, timeout=10)

    def _services(self) -> AbstractAsyncContextManager[Campaign]:
        ports = {"ari-gateway": 50051, "dialer": 50052, "reporter": 50055}
        return campaign(*(self._project.address(name, port) for name, port in ports.items()))
