"""Who leads an application: one gateway at a time.

Asterisk has one events WebSocket per application, and a second one silently ends the first. So a
gateway takes a lease before it connects, and renews it for as long as it lives.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from typing import Protocol

import structlog

from ari_gateway.metrics import LEADS
from servicekit.clock import Clock, SystemClock
from servicekit.errors import StartupError
from servicekit.storage import StoreUnavailable

log = structlog.get_logger(__name__)

LEASE_S = 6.0
_RENEW_S = 1.5
_LOOK_S = 0.5


class Leases(Protocol):
    """Where leases are kept. Every method may raise StoreUnavailable."""

    async def take(self, application: str, holder: str, *, instead_of: str = "") -> str:
        """Take or renew a lease for LEASE_S seconds; give who holds it now.

        A lease that has run out is free, and so is one held by `instead_of`.
        """
        ...

    async def release(self, application: str, holder: str) -> None:
        """Give a lease back; nothing happens when another one holds it."""
        ...


def holder_name() -> str:
    """Name this process: host, process id, and a part that no other process has."""
    return f"{socket.gethostname()} {os.getpid()} {secrets.token_hex(4)}"


class Leadership:
    """This gateway's lease."""

    def __init__(
        self, leases: Leases, application: str, holder: str, clock: Clock | None = None
    ) -> None:
        self._leases = leases
        self._application = application
        self._holder = holder
        self._clock = clock or SystemClock()
        self._until_s = 0.0
        self._show()

    @property
    def why_not_ready(self) -> str:
        """Why nothing may be dialled for want of the lease; empty while it is held."""
        held = self._clock.monotonic_s() < self._until_s
        return "" if held else "the lease of the application could not be renewed"

    async def acquire(self, *, standby: bool) -> None:
        """Take the lease; on standby wait until it comes free.

        Raises:
            StartupError: another gateway holds it.
        """
        told = False
        while (other := await self._first_take()) != self._holder:
            if not standby:
                raise StartupError(
                    f"another gateway ({_shown(other)}) leads ARI_APP_NAME={self._application}: "
                    "run one gateway per application, give this one another name, or set "
                    "STANDBY=on to have it wait and take over"
                )
            if not told:
                log.info("on standby", application=self._application, leader=_shown(other))
                told = True
            await asyncio.sleep(_LOOK_S)

    async def _first_take(self) -> str:
        try:
            return await self._take()
        except StoreUnavailable as error:
            raise StartupError(
                f"the lease of ARI_APP_NAME={self._application} cannot be taken ({error}): "
                "check SESSION_STORE_URL"
            ) from error

    async def keep(self) -> None:
        """Renew the lease, for ever.

        Raises:
            StartupError: another gateway has taken it.
        """
        while True:
            await asyncio.sleep(_RENEW_S)
            try:
                other = await self._take()
            except StoreUnavailable as error:
                log.warning("the lease could not be renewed", reason=str(error))
                continue
            if other != self._holder:
                raise StartupError(
                    f"another gateway ({_shown(other)}) has taken over "
                    f"ARI_APP_NAME={self._application}: this one leaves its calls to it"
                )

    async def release(self) -> None:
        """Give the lease back, so that a successor need not wait for its end."""
        try:
            await self._leases.release(self._application, self._holder)
        except StoreUnavailable as error:
            log.warning("the lease could not be given back", reason=str(error))

    async def _take(self) -> str:
        began_s = self._clock.monotonic_s()
        try:
            other = await self._leases.take(self._application, self._holder)
            if other != self._holder and _is_dead(other):
                other = await self._leases.take(self._application, self._holder, instead_of=other)
            if other == self._holder:
                self._until_s = began_s + LEASE_S
        finally:
            self._show()
        return other

    def _show(self) -> None:
        LEADS.labels(self._application).set(0 if self.why_not_ready else 1)


def _shown(holder: str) -> str:
    """Name a holder for people: host and process id."""
    return " ".join(holder.split(" ")[:2])


def _is_dead(holder: str) -> bool:
    """Whether a holder was a process of this machine that is no more."""
    host, _, rest = holder.partition(" ")
    pid = rest.partition(" ")[0]
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    if int(pid) == os.getpid():  # an earlier process with our number: we have another token
        return True
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
