"""The state of the Asterisk behind the gateway: there or not, the same run or another.

Whatever happened while the link was away is settled here, by looking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import structlog

from ari_gateway.ari import events as ev
from ari_gateway.ari.errors import (
    AriError,
    AriRefused,
    AriUnauthorized,
    AriUnavailable,
    AriUntrusted,
)
from ari_gateway.ari.rest import AriRest
from ari_gateway.prompts import PromptCheck
from ari_gateway.sessions.adoption import clear_strays, take_over
from ari_gateway.sessions.endings import CallFailed
from ari_gateway.sessions.ledger import Ledger
from ari_gateway.sessions.legs import Leg, LegState
from ari_gateway.sessions.live import LiveCall
from ari_gateway.sessions.manager import SessionManager
from servicekit.errors import StartupError
from servicekit.storage import StoreUnavailable

log = structlog.get_logger(__name__)

_LOOK_EVERY_S = 0.5
_RINGS_ON_S = 2.0
_UNHEEDED = ("ChannelVarset",)
"""Events nobody here acts on that make up a third of all: seven for every channel."""


async def wait_for_asterisk(ari: AriRest, *, base_url: str, username: str, wait_s: float) -> None:
    """Wait until Asterisk answers.

    Raises:
        StartupError: it refuses the password, shows a certificate that is refused, or does not
            answer within `wait_s` seconds.
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
        except AriUntrusted as error:
            raise StartupError(f"ARI_BASE_URL={base_url}: {error}") from error
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
    """Follows the link: takes over what is there, and settles what was missed while it was away."""

    def __init__(
        self,
        ari: AriRest,
        manager: Callable[[], SessionManager],
        ledger: Ledger,
        prompts: PromptCheck,
        app: str,
    ) -> None:
        self._ari = ari
        self._manager = manager
        self._ledger = ledger
        self._prompts = prompts
        self._app = app
        self._startup_time: str | None = None
        self._up = asyncio.Event()
        self._down = asyncio.Event()

    @property
    def why_not_ready(self) -> str:
        """Why nothing may be dialled for want of Asterisk; empty when it is linked."""
        return "" if self._up.is_set() else "no link to Asterisk"

    async def linked(self) -> None:
        """Wait for the link."""
        await self._up.wait()

    async def run(self) -> None:
        """Stop phones from ringing when the link stays away.

        An answer without a link is hung up by Asterisk at once: whoever answers hears nothing.
        """
        while True:
            await self._down.wait()
            self._down.clear()
            try:
                async with asyncio.timeout(_RINGS_ON_S):
                    await self._up.wait()
            except TimeoutError:
                self._silence_phones()

    def _silence_phones(self) -> None:
        for live in self._manager().live:
            if live.dialled and live.record.answered_at is None and not live.plan.inbound:
                live.end(CallFailed("link_lost", technical=True))

    async def on_up(self) -> None:
        """Read what is true now."""
        await self._want_fewer_events()
        startup_time = await self._ari.startup_time()
        before, self._startup_time = self._startup_time, startup_time
        if before is None:
            await self._take_over()
        elif before != startup_time:
            log.warning("Asterisk was restarted")
            for live in self._manager().live:
                live.end(CallFailed("asterisk_restart", technical=True))
        else:
            await self._settle()
        await clear_strays(self._manager(), self._ari)
        self._up.set()
        self._prompts.check_again()

    def on_down(self) -> None:
        """The link is lost: no dialing until it is back."""
        self._up.clear()
        self._down.set()

    def on_event(self, event: ev.Event) -> None:
        """Route one event.

        Raises:
            StartupError: another client took our application.
        """
        if isinstance(event, ev.ApplicationReplaced):
            self._manager().abandon_all()
            raise StartupError(
                f"another client took over ARI_APP_NAME={self._app}: "
                "run one gateway per application, or give this one another name"
            )
        if not self._prompts.handle(event):
            self._manager().handle(event)

    async def _want_fewer_events(self) -> None:
        try:
            await self._ari.leave_out(*_UNHEEDED)
        except AriRefused as error:
            log.info("Asterisk sends events that nobody needs", reason=str(error))

    async def _take_over(self) -> None:
        try:
            await take_over(self._manager(), self._ari, self._ledger)
        except StoreUnavailable as error:
            self._startup_time = None  # the next try begins at the beginning
            raise AriUnavailable(f"the session store is away ({error})") from error
        except AriError:
            self._startup_time = None
            raise

    async def _settle(self) -> None:
        """Compare the live calls with Asterisk's channels and act on the difference."""
        states = await self._ari.channel_states()
        for live in self._manager().live:
            if not live.dialled or live.customer.state is LegState.GONE:
                continue
            if live.customer.channel_id not in states:
                live.lost()
                continue
            if live.record.answered_at is None and states[live.customer.channel_id] == "Up":
                live.answered()
            await self._settle_waits(live, states)

    async def _settle_waits(self, live: LiveCall, states: Mapping[str, str]) -> None:
        for playback_id in live.waits.open_about("played"):
            if not await self._ari.playback_exists(playback_id):
                live.played(playback_id, well=True)
        for name in live.waits.open_about("recorded"):
            if not await self._ari.live_recording_exists(name):
                live.waits.resolve("recorded", name, value=True)
        leg = live.operator
        if leg is not None and leg.state is not LegState.GONE:
            self._settle_operator(live, leg, states.get(leg.channel_id, ""))

    def _settle_operator(self, live: LiveCall, leg: Leg, state: str) -> None:
        if leg.state is not LegState.UP and state in ("", "Up"):
            # Who answers without a link is hung up on by Asterisk, perhaps in this very moment.
            live.record.let_ring_again()
        if state == "":
            live.operator_lost(leg)
        elif state == "Up":
            live.operator_answered(leg)
