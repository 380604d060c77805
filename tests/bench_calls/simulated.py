"""The gateway alone, against a simulated ARI: latency, CPU, memory, and no call lost."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bench_calls.caller import Caller
from bench_calls.peers import Reporter, peers
from bench_calls.processes import cpu_s, memory_mib, program
from e2e_support.stack import PROGRAMS
from lab.demo.campaign import environment
from lab.simulated_ari.people import People
from servicekit.channel import Peer
from support.ports import free_port

_PASSWORD = "simulated"
_YES_EVERY = 5
_LAST_RESULT_S = 90.0
# Pauses of the people and of talk detection in a call, beside the prompts.
_PAUSES_S = 2.0 + 1.0 + 1.0 + 0.7


@dataclass(frozen=True)
class Load:
    """What is put on the gateway.

    Attributes:
        calls: in all.
        per_second: originates.
        at_once: calls that shall live at the same time.
        over_websocket: whether requests may go over the events WebSocket.
    """

    calls: int
    per_second: float
    at_once: int
    over_websocket: bool = True

    @property
    def prompt_s(self) -> float:
        """How long a prompt must be for that many calls to live at once."""
        people = People()
        operator_s = (people.operator_rings_s + people.operator_talks_s) / _YES_EVERY
        return max((self.at_once / self.per_second - _PAUSES_S - operator_s) / 2, 0.2)


@dataclass(frozen=True)
class Cost:
    """What was measured.

    Attributes:
        figures: what the simulated ARI counted.
        lost: calls that were placed and have no result.
        held_back: how often the gateway asked for patience.
        unanswered: how often it took more than the deadline to answer.
        cpu_ms: CPU time of the gateway per call, milliseconds.
        ari_cpu_ms: CPU time of the simulated ARI per call, milliseconds.
        memory_mib: resident memory of the gateway: before the first call, at the most calls, and
            after the last one.
        tasks: tasks of the gateway at the same moments.
    """

    load: Load
    figures: dict[str, Any]
    results: dict[str, int]
    lost: int
    held_back: int
    unanswered: int
    cpu_ms: float
    ari_cpu_ms: float
    memory_mib: tuple[float, ...]
    tasks: tuple[int, ...]


class SimulatedBench:
    """One run."""

    def __init__(self, home: Path, load: Load) -> None:
        self._home = home
        self._load = load
        self._ari_port, self._grpc_port, self._metrics_port = (free_port() for _ in range(3))
        self._reporter = Reporter()  # type: ignore[abstract]  # nothing else is asked

    async def run(self) -> Cost:
        """Place the calls and measure."""
        async with self._world() as (ari_pid, gateway_pid, caller):
            await caller.ready()
            watching = asyncio.create_task(caller.watch())
            began = cpu_s(gateway_pid), cpu_s(ari_pid)
            states = [await self._state(gateway_pid)]
            placing = asyncio.create_task(caller.place(self._load.calls, self._load.per_second))
            await self._until_all_live(placing)
            await self._figures("DELETE")
            await placing
            states.append(await self._state(gateway_pid))
            await self._all_reported(caller)
            figures = await self._figures("GET")
            ended = cpu_s(gateway_pid), cpu_s(ari_pid)
            watching.cancel()
            await asyncio.wait({watching})
            await asyncio.sleep(2)
            states.append(await self._state(gateway_pid))
        per_call = [
            (after - before) * 1000 / self._load.calls
            for before, after in zip(began, ended, strict=True)
        ]
        return Cost(
            load=self._load,
            figures=figures,
            results=dict(self._reporter.results),
            lost=len(caller.placed - self._reporter.ended),
            held_back=caller.held_back,
            unanswered=caller.unanswered,
            cpu_ms=per_call[0],
            ari_cpu_ms=per_call[1],
            memory_mib=tuple(memory for memory, _ in states),
            tasks=tuple(tasks for _, tasks in states),
        )

    @asynccontextmanager
    async def _world(self) -> AsyncIterator[tuple[int, int, Caller]]:
        async with contextlib.AsyncExitStack() as stack:
            enter = stack.enter_async_context
            peers_port = await enter(peers(self._reporter, yes_every=_YES_EVERY))
            ari = await enter(
                program(
                    *(sys.executable, "-m", "lab.simulated_ari", "--port", str(self._ari_port)),
                    *("--prompt-s", f"{self._load.prompt_s:.2f}"),
                    env={"ARI_PASSWORD": _PASSWORD},
                    output=self._home / "simulated_ari.out",
                )
            )
            gateway = await enter(
                program(
                    PROGRAMS / "ari-gateway",
                    env=environment(self._settings(peers_port)),
                    output=self._home / "ari-gateway.out",
                )
            )
            peer = await enter(Peer(f"127.0.0.1:{self._grpc_port}", "salehi.calls.v1.CallService"))
            yield ari.pid, gateway.pid, Caller(peer)

    def _settings(self, peers_port: int) -> Path:
        """Write the gateway's settings file."""
        ari = f"127.0.0.1:{self._ari_port}/ari"
        peers_address = f"127.0.0.1:{peers_port}"
        told = {
            "ARI_BASE_URL": f"http://{ari}",
            "ARI_WS_URL": f"ws://{ari}/events",
            "ARI_PASSWORD": _PASSWORD,
            "ARI_REST_OVER_WEBSOCKET": str(self._load.over_websocket).lower(),
            "ARI_GATEWAY_PORT": str(self._grpc_port),
            "ARI_GATEWAY_METRICS_PORT": str(self._metrics_port),
            "SPEECH_ADDRESS": peers_address,
            "INTENT_ADDRESS": peers_address,
            "REPORTER_ADDRESS": peers_address,
            "OPERATOR_EXTENSION": "200",
            "OPERATOR_EXTENSIONS": "200:999",
            "OPERATOR_TRUNK": "operators",
            "MAX_LIVE_CALLS": "2000",
            "CALL_LANGUAGE": "en",
            "LOG_DIR": str(self._home / "logs"),
            "DATA_DIR": str(self._home / "data"),
        }
        file = self._home / "gateway.env"
        file.write_text("".join(f"{key}={value}\n" for key, value in told.items()))
        return file

    async def _until_all_live(self, placing: asyncio.Task[None]) -> None:
        """Let the first calls live to their end; what is measured then is a steady load."""
        await asyncio.wait({placing}, timeout=self._load.at_once / self._load.per_second)

    async def _all_reported(self, caller: Caller) -> None:
        with contextlib.suppress(TimeoutError):
            while caller.placed - self._reporter.ended:
                self._reporter.latest.clear()
                async with asyncio.timeout(_LAST_RESULT_S):
                    await self._reporter.latest.wait()

    async def _figures(self, method: str) -> dict[str, Any]:
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.request(method, f"http://127.0.0.1:{self._ari_port}/_figures")
        return answer.json() if answer.content else {}

    async def _state(self, gateway_pid: int) -> tuple[float, int]:
        """Give the gateway's resident memory, MiB, and how many tasks it has."""
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.get(f"http://127.0.0.1:{self._metrics_port}/metrics")
        lines = answer.text.splitlines()
        tasks = next((line for line in lines if line.startswith("salehi_gateway_tasks ")), " 0")
        return memory_mib(gateway_pid), round(float(tasks.split()[-1]))
