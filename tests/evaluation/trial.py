"""One reply through the service's own parts: voice activity, filters, the embedded engine."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache

from evaluation.corpus import Reply
from intent.rules import classify
from speech.audio import Recording
from speech.enhance import apply_filters, enhance
from speech.stt.recogniser import Recogniser
from speech.vad import SpeechDetector

_LONGEST_FILTERING_S = 30.0
_CHUNK = 4
_NICENESS = 5


@dataclass(frozen=True)
class Chain:
    """A way of enhancing.

    Attributes:
        name: in tables.
        filters: for ffmpeg; empty: the recording goes on as it is, without ffmpeg.
        is_own: whether it is the service's own way of enhancing, without `filters`.
        denoises: whether that is ENHANCE=denoise.
    """

    name: str
    filters: str = ""
    is_own: bool = False
    denoises: bool = False

    async def enhance(self, recording: Recording) -> Recording:
        """Send a recording through the chain."""
        if self.is_own:
            return await enhance(recording, _LONGEST_FILTERING_S, denoises=self.denoises)
        if self.filters:
            return await apply_filters(recording, self.filters, _LONGEST_FILTERING_S)
        return recording


@dataclass(frozen=True)
class Trial:
    """What became of a reply.

    Attributes:
        reply: what was said, and how it arrived.
        chain: what it was enhanced with.
        text: what was understood; empty when nothing was.
        intent: what the rules make of that.
        enhance_s: time spent enhancing.
        stt_s: time the engine took.
    """

    reply: Reply
    chain: Chain
    text: str
    intent: str
    enhance_s: float
    stt_s: float


def run_trials(replies: Iterable[Reply], chains: tuple[Chain, ...], jobs: int) -> Iterator[Trial]:
    """Try every reply with every chain, in `jobs` processes that give way to others."""
    with ProcessPoolExecutor(jobs, initializer=os.nice, initargs=(_NICENESS,)) as pool:
        tasks = [(reply, chains) for reply in replies]
        for trials in pool.map(_try, tasks, chunksize=_CHUNK):
            yield from trials


def _try(task: tuple[Reply, tuple[Chain, ...]]) -> list[Trial]:
    return asyncio.run(_try_each(*task))


async def _try_each(reply: Reply, chains: tuple[Chain, ...]) -> list[Trial]:
    recording = reply.record()
    if not await SpeechDetector().hears_speech(recording):
        return [Trial(reply, chain, "", _intent(""), 0.0, 0.0) for chain in chains]
    return [await _through(reply, recording, chain) for chain in chains]


async def _through(reply: Reply, recording: Recording, chain: Chain) -> Trial:
    began_s = time.perf_counter()
    enhanced = await chain.enhance(recording)
    enhanced_s = time.perf_counter()
    heard = _recogniser().hear(enhanced)
    text = heard.text if heard.accepted else ""
    took_s = time.perf_counter() - enhanced_s
    return Trial(reply, chain, text, _intent(text), enhanced_s - began_s, took_s)


def _intent(text: str) -> str:
    return classify(text, "en").meaning.value


@cache
def _recogniser() -> Recogniser:
    """One for a process: loading it takes a quarter of a second."""
    return Recogniser("en")
