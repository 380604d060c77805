"""The demo where each service is a container: hands the cast to the panel, and judges the end."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
import time
from collections.abc import Mapping
from typing import Annotated

import httpx
import typer

from lab.demo.campaign import Campaign, Progress, campaign
from lab.demo.cast import CAST, LINES, Contact
from lab.demo.following import follow
from lab.demo.view import View
from lab.errors import LabError

_TIMEOUT_S = 10.0
_START_S = 60.0
_DELIVERED_S = 20.0
_LOOK_EVERY_S = 0.5
_WRONG, _REFUSED = 1, 3

Ids = Mapping[int, Contact]
"""The cast by the number the panel knows each by."""


def main(
    panel: Annotated[str, typer.Option(help="Address of the fake panel.")],
    gateway: Annotated[str, typer.Option(help="gRPC address of ari-gateway.")],
    dialer: Annotated[str, typer.Option(help="gRPC address of the dialer.")],
    reporter: Annotated[str, typer.Option(help="gRPC address of the reporter.")],
) -> None:
    """Run a campaign; the status is 0 only when each contact got its one right result."""
    try:
        sys.exit(asyncio.run(_demo(panel, campaign_at=(gateway, dialer, reporter))))
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        sys.exit(_REFUSED)


async def _demo(panel: str, campaign_at: tuple[str, str, str]) -> int:
    view = View(total=len(CAST))
    first = int(time.time()) * 1000  # a contact of an earlier run is another one
    ids = {first + position: contact for position, contact in enumerate(CAST)}
    async with httpx.AsyncClient(base_url=panel, timeout=_TIMEOUT_S) as http:
        async with campaign(*campaign_at) as running:
            await _must_be_ours(running)
            await _hand_over(http, ids)
            view.say(f"dialing {len(CAST)} contacts of the panel over {len(LINES)} lines")

            async def progress() -> Progress | None:
                return _of(ids, await running.progress())

            rows = await follow(CAST, view, progress)
        view.conclude(rows)
        reports = await _reports(http, ids)
    wrong = [contact.behaviour for number_id, contact in ids.items() if reports[number_id] != 1]
    view.say(f"The panel was told of {len(CAST) - len(wrong)} contacts exactly once.")
    return 0 if not wrong and all(not row.wrong_because for row in rows) else _WRONG


async def _must_be_ours(running: Campaign) -> None:
    """Raise LabError unless the dialer is set up for the demo: a real campaign is left alone."""
    deadline_s = time.monotonic() + _START_S
    while (progress := await running.progress()) is None:
        if time.monotonic() > deadline_s:
            raise LabError("the services do not answer: `docker compose ps` tells which")
        await asyncio.sleep(_LOOK_EVERY_S)
    if {line.line for line in progress.status.lines} != set(LINES):
        raise LabError(
            "the services have settings of your own: "
            "run `docker compose --env-file deploy/docker/demo.env run --rm demo`"
        )


async def _hand_over(http: httpx.AsyncClient, ids: Ids) -> None:
    numbers = [{"id": key, "phone_number": contact.number} for key, contact in ids.items()]
    (await http.post("/_control", json={"numbers": numbers})).raise_for_status()


def _of(ids: Ids, progress: Progress | None) -> Progress | None:
    """Keep the results of this run."""
    if progress is None:
        return None
    own = (each for each in progress.results if each.report.contact.panel_number_id in ids)
    return dataclasses.replace(progress, results=tuple(own))


async def _reports(http: httpx.AsyncClient, ids: Ids) -> dict[int, int]:
    """Give how often the panel was told of each, once all are told or some time has passed."""
    deadline_s = time.monotonic() + _DELIVERED_S
    while True:
        told = (await http.get("/_control")).raise_for_status().json()["numbers"]
        reports = {each["id"]: int(each["reports"]) for each in told if each["id"] in ids}
        if all(reports.values()) or time.monotonic() > deadline_s:
            return reports
        await asyncio.sleep(_LOOK_EVERY_S)


if __name__ == "__main__":
    typer.run(main)
