"""How long callers wait for an answer: turns of real calls, with the engine on board."""

from __future__ import annotations

import re
import statistics
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from e2e_support.otlp import Span, otlp_receiver
from e2e_support.stack import Stack, stack

_STAGES = ("endpoint", "fetch", "transcribe", "enhance", "stt", "classify", "prompt_start")
_SUM = re.compile(r'^salehi_turn_stage_seconds_sum\{stage="(\w+)"\} (\S+)$', re.MULTILINE)
_COUNT = re.compile(r'^salehi_turn_stage_seconds_count\{stage="(\w+)"\} (\S+)$', re.MULTILINE)
_BARGE_INS = re.compile(r'^salehi_barge_ins_total\{outcome="(\w+)"\} (\S+)$', re.MULTILINE)
_ENDINGS = ("01", "02", "03", "04")
_CALL_S = 45.0
_NOT_OURS = ("endpoint", "stt")


@dataclass(frozen=True)
class Turns:
    """What was measured.

    Attributes:
        latencies_s: of each turn, from the end of speech to the next prompt, seconds.
        overheads_s: of each turn, all but the silence that ends a reply and recognition, seconds.
        stages_s: mean of each stage, seconds.
        barge_ins: prompts that gave way, by outcome.
        results: how many calls came to what.
    """

    latencies_s: list[float]
    overheads_s: list[float]
    stages_s: dict[str, float]
    barge_ins: dict[str, float]
    results: dict[str, int]

    def lines(self) -> list[str]:
        """Give the table."""
        p50, p95, most = (_at(self.latencies_s, share) for share in (0.5, 0.95, 1.0))
        figures = f"p50 {p50:.2f} s, p95 {p95:.2f} s, max {most:.2f} s"
        own50, own95 = (1000 * _at(self.overheads_s, share) for share in (0.5, 0.95))
        own = f"p50 {own50:.0f} ms, p95 {own95:.0f} ms"
        mean = statistics.fmean(self.latencies_s)
        stages = ", ".join(f"{name} {1000 * took:.0f}" for name, took in self.stages_s.items())
        return [
            f"turns                   {len(self.latencies_s)}: {figures}, mean {mean:.2f} s",
            f"the engine's own part   {len(self.overheads_s)}: {own}",
            f"stages, mean ms         {stages}",
            f"prompts that gave way   {self.barge_ins or 'none'}",
            f"results                 {self.results}",
        ]


async def measured(home: Path, lab_env: Path, calls: int, at_once: int) -> Turns:
    """Lead calls through the lab's Asterisk and look at their turns."""
    numbers = [f"0912{index:05d}{_ENDINGS[index % len(_ENDINGS)]}" for index in range(calls)]
    async with otlp_receiver() as received:
        async with _dialling(home, lab_env, numbers, at_once, received.endpoint) as running:
            limit_s = 60 + _CALL_S * (calls / at_once + 1)
            await running.have_results(calls, within_s=limit_s)
            found = await _read(running)
        # What is traced has all been sent when the services have ended.
        return replace(found, overheads_s=overheads_s(received.spans))


def _dialling(
    home: Path, lab_env: Path, numbers: list[str], at_once: int, traces: str
) -> AbstractAsyncContextManager[Stack]:
    per_line = str(len(numbers))
    return stack(
        home,
        lab_env,
        STATIC_CONTACTS=",".join(numbers),
        MAX_TOTAL_CALLS=str(at_once),
        MAX_CONCURRENT_CALLS=str(at_once),
        MAX_CALLS_PER_MINUTE=per_line,
        MAX_CALLS_PER_DAY=per_line,
        OPERATOR_EXTENSIONS=f"200:{at_once}",
        OTEL_EXPORTER_OTLP_ENDPOINT=traces,
    )


def overheads_s(spans: list[Span]) -> list[float]:
    """Give what each answered turn took beside its end of speech and recognition, seconds."""
    parents = {span.span_id: span.parent_id for span in spans}
    own_s = {span.span_id: span.took_s for span in spans if span.name == "turn"}
    answered = {span.parent_id for span in spans if span.name == "prompt start"}
    for span in spans:
        if span.name not in _NOT_OURS:
            continue
        above = span.parent_id
        while above and above not in own_s:
            above = parents.get(above, "")
        if above:
            own_s[above] -= span.took_s
    return [took_s for turn, took_s in own_s.items() if turn in answered]


def _at(seconds: list[float], share: float) -> float:
    """Give what this share of the turns kept to."""
    ranked = sorted(seconds)
    return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


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
        overheads_s=[],
        stages_s={name: sums[name] / counts[name] for name in _STAGES if counts.get(name)},
        barge_ins={name: float(count) for name, count in _BARGE_INS.findall(metrics)},
        results=results,
    )
