"""One gateway per application: who holds the lease, who waits, who gives way."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from ari_gateway.sessions.lease import LEASE_S, Leadership, Leases
from ari_gateway.sessions.sql_ledger import SqlLeases
from ari_gateway.sessions.store import session_store
from servicekit.database import open_database
from servicekit.errors import StartupError
from servicekit.storage import StoreUnavailable, WholeTransactions
from support.timing import HandClock, running

HOST = socket.gethostname()
ELSEWHERE = "another-host 7 abc"


class LoopClock(HandClock):
    """A clock that goes with the loop's virtual time."""

    def monotonic_s(self) -> float:
        """Give virtual seconds."""
        return asyncio.get_running_loop().time()


@dataclass
class MemoryLeases:
    """Leases in memory, by the loop's time."""

    held: dict[str, tuple[str, float]] = field(default_factory=dict)
    away: bool = False

    async def take(self, application: str, holder: str, *, instead_of: str = "") -> str:
        """Take or renew."""
        if self.away:
            raise StoreUnavailable("away")
        now_s = asyncio.get_running_loop().time()
        other, until_s = self.held.get(application, ("", 0.0))
        if other in ("", holder, instead_of) or until_s <= now_s:
            self.held[application] = holder, now_s + LEASE_S
            return holder
        return other

    async def release(self, application: str, holder: str) -> None:
        """Give back."""
        if self.held.get(application, ("",))[0] == holder:
            del self.held[application]


def leadership(leases: Leases, holder: str) -> Leadership:
    """Make one gateway's leadership, on virtual time."""
    return Leadership(leases, "salehi", holder, LoopClock())


async def test_a_second_gateway_is_refused_with_a_line() -> None:
    """While one leads, another ends at once and says who leads and what to do."""
    leases = MemoryLeases()
    await leadership(leases, ELSEWHERE).acquire(standby=False)
    with pytest.raises(StartupError) as refusal:
        await leadership(leases, f"{HOST} {os.getpid()} b").acquire(standby=False)
    assert "another gateway (another-host 7) leads ARI_APP_NAME=salehi" in str(refusal.value)
    assert "STANDBY=on" in str(refusal.value)


async def test_a_standby_leads_within_ten_seconds_of_a_death() -> None:
    """A standby takes over when the leader stops renewing, and not before."""
    leases = MemoryLeases()
    first = leadership(leases, ELSEWHERE)
    await first.acquire(standby=False)
    loop = asyncio.get_running_loop()
    second = asyncio.create_task(leadership(leases, "third-host 8 b").acquire(standby=True))
    async with running(first.keep()):
        await asyncio.sleep(60)
        assert not second.done()
    died_s = loop.time()
    await second
    assert loop.time() - died_s < 10


async def test_a_lease_that_is_given_back_is_free_at_once() -> None:
    """After an orderly end the successor need not wait for the lease to run out."""
    leases = MemoryLeases()
    first = leadership(leases, ELSEWHERE)
    await first.acquire(standby=False)
    await first.release()
    await leadership(leases, "third-host 8 b").acquire(standby=False)


@pytest.mark.real_time
async def test_a_dead_process_of_this_machine_holds_nothing_up() -> None:
    """A gateway started again after a crash leads at once: its dead predecessor is recognised."""
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    for dead in (f"{HOST} {process.pid} a", f"{HOST} {os.getpid()} earlier"):
        leases = MemoryLeases()
        await leadership(leases, dead).acquire(standby=False)
        await leadership(leases, f"{HOST} {os.getpid()} b").acquire(standby=False)


async def test_a_live_process_of_this_machine_is_respected() -> None:
    """A lease of another live process of this machine is not taken."""
    leases = MemoryLeases()
    await leadership(leases, f"{HOST} {os.getppid()} a").acquire(standby=False)
    with pytest.raises(StartupError, match="another gateway"):
        await leadership(leases, f"{HOST} {os.getpid()} b").acquire(standby=False)


async def test_who_lost_the_lease_gives_way() -> None:
    """A leader that was frozen while a standby took over ends, and says to whom."""
    leases = MemoryLeases()
    frozen = leadership(leases, ELSEWHERE)
    await frozen.acquire(standby=False)
    await asyncio.sleep(LEASE_S + 1)
    assert frozen.why_not_ready
    await leadership(leases, "third-host 8 b").acquire(standby=False)
    with pytest.raises(StartupError, match="another gateway \\(third-host 8\\) has taken over"):
        await frozen.keep()


async def test_nothing_is_dialled_on_a_lease_that_ran_out() -> None:
    """With the store away the lease runs out and dialing stops; it goes on when it is back."""
    leases = MemoryLeases()
    leader = leadership(leases, ELSEWHERE)
    await leader.acquire(standby=False)
    async with running(leader.keep()):
        leases.away = True
        await asyncio.sleep(LEASE_S - 2)
        assert leader.why_not_ready == ""
        await asyncio.sleep(4)
        assert leader.why_not_ready
        leases.away = False
        await asyncio.sleep(2)
        assert leader.why_not_ready == ""


async def test_who_leads_is_a_metric() -> None:
    """The gauge is 0 on standby, 1 with the lease, and 0 again once the lease ran out."""

    def leads() -> float | None:
        return REGISTRY.get_sample_value("salehi_gateway_leads", {"application": "salehi"})

    leases = MemoryLeases()
    leader = leadership(leases, ELSEWHERE)
    assert leads() == 0
    await leader.acquire(standby=False)
    assert leads() == 1
    async with running(leader.keep()):
        leases.away = True
        await asyncio.sleep(LEASE_S + 2)
        assert leads() == 0


@pytest.fixture(params=["sqlite", "postgresql", "redis"])
async def leases(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Leases]:
    """Open the leases of each kind of store."""
    url = f"sqlite:///{tmp_path}/gateway.db"
    if request.param != "sqlite":
        name = {"redis": "redis_url"}.get(request.param, "postgres_url")
        url = request.getfixturevalue(name)
    async with session_store(url, "salehi") as store:
        yield store.leases


@pytest.mark.real_time
async def test_every_store_gives_a_lease_to_one(leases: Leases) -> None:
    """Of ten that ask at once one gets the lease, may renew it, and can be named as dead."""
    askers = [f"host {number} x" for number in range(10)]
    answers = await asyncio.gather(*(leases.take("salehi", asker) for asker in askers))
    (winner,) = set(answers)
    assert await leases.take("salehi", winner) == winner
    assert await leases.take("salehi", "late 1 y") == winner
    assert await leases.take("another", "late 1 y") == "late 1 y"
    await leases.release("salehi", "late 1 y")
    assert await leases.take("salehi", "late 1 y") == winner
    assert await leases.take("salehi", "late 1 y", instead_of=winner) == "late 1 y"
    await leases.release("salehi", "late 1 y")
    assert await leases.take("salehi", winner) == winner


@pytest.mark.real_time
async def test_a_lease_in_a_database_runs_out(tmp_path: Path) -> None:
    """After LEASE_S seconds without renewal the row is free."""
    engine = await open_database(f"sqlite:///{tmp_path}/g.db", "ari_gateway:migrations")
    clock = HandClock()
    leases = SqlLeases(WholeTransactions(engine), clock)
    assert await leases.take("salehi", "a") == "a"
    clock.advance(LEASE_S - 0.1)
    assert await leases.take("salehi", "b") == "a"
    clock.advance(0.2)
    assert await leases.take("salehi", "b") == "b"
    await engine.dispose()
