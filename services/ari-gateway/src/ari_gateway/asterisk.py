"""The state of the Asterisk behind the gateway: there or not, the same run or another.

Whatever happened while the link was away is settled here, by looking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from ari_gateway.ari import events as ev
from ari_gateway.ari.errors import AriError, AriUnauthorized
from ari_gateway.ari.rest import AriRest
from ari_gateway.prompts import PromptCheck
from ari_gateway.sessions.endings import CallFailed
from ari_gateway.sessions.legs import LegState
from ari_gateway.sessions.live import LiveCall
from ari_gateway.sessions.manager import SessionManager
from servicekit.errors import StartupError

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 0.5


async def wait_for_asterisk(ari: AriRest, *, base_url: str, username: str, wait_s: float) -> None:
    """Wait until Asterisk answers.

    Raises:
        StartupError: it refuses the password, or does not answer within `wait_s` seconds.
    """
    deadline_s = asyncio.get_running_loop().time() + wait_s
    said = False
    while True:
        try:
            await ari.startup_time()
        except AriUnauthorized as error:
            raise StartupError(
                f"ARI_USERNAME={username} or ARI_PASSWORD is refused by ARI_BASE_URL={base_url}: "
                "set them to a user of ari.conf"
            ) from error
        except AriError as error:
            if asyncio.get_running_loop().time() >= deadline_s:
                raise StartupError(
                    f"ARI_BASE_URL={base_url} does not answer ({error}): start Asterisk, "
                    "or set the address of its HTTP server"
                ) from error
            if not said:
                log.info("waiting for Asterisk", reason=type(error).__name__)
                said = True
            await asyncio.sleep(_LOOK_EVERY_S)
        else:
            return


class AsteriskState:
    """Follows the link and settles what was missed while it was away."""

    def __init__(
        self, ari: AriRest, manager: Callable[[], SessionManager], prompts: PromptCheck, app: str
    ) -> None:
        self._ari = ari
        self._manager = manager
        self._prompts = prompts
        self._app = app
        self._startup_time: str | None = None
        self._up = asyncio.Event()

    @property
    def why_not_ready(self) -> str:
        """Why nothing may be dialled for want of Asterisk; empty when it is linked."""
        return "" if self._up.is_set() else "no link to Asterisk"

    async def linked(self) -> None:
        """Wait for the link."""
        await self._up.wait()

    async def on_up(self) -> None:
        """Read what is true now."""
        startup_time = await self._ari.startup_time()
        before, self._startup_time = self._startup_time, startup_time
        if before is not None and before != startup_time:
            log.warning("Asterisk was restarted")
            for live in self._manager().live:
                live.end(CallFailed("asterisk_restart", technical=True))
        elif before is not None:
            await self._settle()
        self._up.set()
        self._prompts.check_again()

    def on_down(self) -> None:
        """The link is lost: no dialing until it is back."""
        self._up.clear()

    def on_event(self, event: ev.Event) -> None:
        """Route one event.

        Raises:
            StartupError: another client took our application.
        """
        if isinstance(event, ev.ApplicationReplaced):
            raise StartupError(
                f"another client took over ARI_APP_NAME={self._app}: "
                "run one gateway per application, or give this one another name"
            )
        if not self._prompts.handle(event):
            self._manager().handle(event)

    async def _settle(self) -> None:
        """Compare the live calls with Asterisk's channels and act on the difference."""
        channels = await self._ari.channel_ids()
        for live in self._manager().live:
            if not live.dialled or live.customer.state is LegState.GONE:
                continue
            if live.customer.channel_id not in channels:
                live.lost()
            elif live.record.answered_at is None:
                # An answer without a link is hung up by Asterisk at once: don't let it ring on.
                live.end(CallFailed("link_lost", technical=True))
            else:
                await self._settle_waits(live, channels)

    async def _settle_waits(self, live: LiveCall, channels: set[str]) -> None:
        for playback_id in live.waits.open_about("played"):
            if not await self._ari.playback_exists(playback_id):
                live.waits.resolve("played", playback_id, value=True)
        for name in live.waits.open_about("recorded"):
            if not await self._ari.live_recording_exists(name):
                live.waits.resolve("recorded", name, value=True)
        leg = live.operator
        if leg and leg.state is not LegState.GONE and leg.channel_id not in channels:
            live.operator_lost(leg)
