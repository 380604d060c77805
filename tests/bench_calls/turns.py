"""How long callers wait for an answer: turns of real calls, with the engine on board."""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass
from pathlib import Path

from e2e_support.stack import Stack, stack

_STAGES = ("endpoint", "fetch", "transcribe", "enhance", "stt", "classify", "prompt_start")
_SUM = re.compile(r'^salehi_turn_stage_seconds_sum\{stage="(\w+)"\} (\S+)$', re.MULTILINE)
_COUNT = re.compile(r'^salehi_turn_stage_seconds_count\{stage="(\w+)"\} (\S+)$', re.MULTILINE)
_BARGE_INS = re.compile(r'^salehi_barge_ins_total\{outcome="(\w+)"\} (\S+)$', re.MULTILINE)
_ENDINGS = ("01", "02", "03", "04")
_CALL_S = 45.0


@dataclass(frozen=True)
class Turns:
    """What was measured.

    Attributes:
        latencies_s: of each turn, from the end of speech to the next prompt, seconds.
        stages_s: mean of each stage, seconds.
        barge_ins: prompts that gave way, by outcome.
        results: how many calls came to what.
    """

    latencies_s: list[float]
    stages_s: dict[str, float]
    barge_ins: dict[str, float]
    results: dict[str, int]

    def at(self, share: float) -> float:
        """Give the latency that this share of the turns kept to, seconds."""
        ranked = sorted(self.latencies_s)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))]

    def lines(self) -> list[str]:
        """Give the table."""
        figures = f"p50 {self.at(0.5):.2f} s, p95 {self.at(0.95):.2f} s, max {self.at(1.0):.2f} s"
        mean = statistics.fmean(self.latencies_s)
        stages = ", ".join(f"{name} {1000 * took:.0f}" for name, took in self.stages_s.items())
        return [
            f"turns                   {len(self.latencies_s)}: {figures}, mean {mean:.2f} s",
            f"stages, mean ms         {stages}",
            f"prompts that gave way   {self.barge_ins or 'none'}",
            f"results                 {self.results}",
        ]


async def measured(home: Path, lab_env: Path, calls: int, at_once: int) -> Turns:
    """Lead calls through the lab's Asterisk and look at their turns."""
    numbers = [f"0912{index:05d}{_ENDINGS[index % len(_ENDINGS)]}" for index in range(calls)]
    per_line = str(calls)
    async with stack(
        home,
        lab_env,
        STATIC_CONTACTS=",".join(numbers),
        MAX_TOTAL_CALLS=str(at_once),
        MAX_CONCURRENT_CALLS=str(at_once),
        MAX_CALLS_PER_MINUTE=per_line,
        MAX_CALLS_PER_DAY=per_line,
        OPERATOR_EXTENSIONS=f"200:{at_once}",
    ) as running:
        limit_s = 60 + _CALL_S * (calls / at_once + 1)
        await running.have_results(calls, within_s=limit_s)
        return await _read(running)


async def _read(running: Stack) -> Turns:
    records = await running.results()
    metrics = await running.metrics("ari-gateway")
    counts = {name: float(count) for name, count in _COUNT.findall(metrics)}
    sums = {name: float(total) for name, total in _SUM.findall(metrics)}
    results: dict[str, int] = {}
    for record in records:
        results[record.result] = results.get(record.result, 0) + 1
    return Turns(
        latencies_s=[
            turn.turn_latency_s
            for record in records
            for turn in record.report.outcome.turns
            if turn.turn_latency_s
        ],
        stages_s={name: sums[name] / counts[name] for name in _STAGES if counts.get(name)},
        barge_ins={name: float(count) for name, count in _BARGE_INS.findall(metrics)},
        results=results,
    )
