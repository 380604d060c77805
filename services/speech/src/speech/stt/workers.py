"""The worker processes of the embedded engine, kept alive.

Plain child processes on pipes: nothing is forked from the process that runs gRPC, a hung worker
can be killed, and the event loop never waits for a computation.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog

from speech.audio import Recording
from speech.errors import ProgramFailed, ProviderUnavailable
from speech.metrics import WORKER_DEATHS
from speech.programs import Child, running
from speech.stt.worker import ANSWER, READY, REQUEST

log = structlog.get_logger(__name__)

_START_TIMEOUT_S = 30.0
_RESTART_PAUSE_S = 0.5
_TRIES = 2
_HUNG_S = 30.0
"""A minute of speech takes 10 s."""
_ABANDONED_S = 1.0
"""How long a worker goes on for a caller who gave up: most recordings end within it, and finishing
one costs less than starting a worker anew, which takes a second."""


class WorkerDied(Exception):  # noqa: N818 - named for what happened
    """A worker process ended, hung or answered nonsense."""


@dataclass
class _Job:
    recording: Recording
    answer: asyncio.Future[str]
    tries: int = 0


class WorkerPool:
    """Hands recordings to worker processes, one at a time each.

    `run` owns the processes: while it runs they are restarted when they die, and the recording a
    worker died on is given to another once.
    """

    def __init__(self, language: str, count: int) -> None:
        self._argv = (sys.executable, "-m", "speech.stt.worker", language)
        self._count = count
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._ready = asyncio.Semaphore(0)
        self.pids: set[int] = set()

    async def run(self) -> None:
        """Keep the workers alive until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._count):
                tasks.create_task(self._keep_alive())

    async def wait_ready(self) -> None:
        """Wait until every worker has loaded its model once."""
        for _ in range(self._count):
            await self._ready.acquire()

    async def recognise(self, recording: Recording) -> str:
        """Give the sentence a worker hears, empty when none fits. Takes as long as it takes.

        Raises:
            ProviderUnavailable: workers died on this recording.
        """
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._jobs.put_nowait(_Job(recording, answer))
        return await answer

    async def _keep_alive(self) -> None:
        while True:
            try:
                async with running(self._argv) as child:
                    await self._work(child)
            except (WorkerDied, ProgramFailed) as error:
                WORKER_DEATHS.inc()
                log.warning("a recogniser process is started anew", reason=str(error))
            await asyncio.sleep(_RESTART_PAUSE_S)

    async def _work(self, child: Child) -> None:
        self.pids.add(child.pid)
        try:
            await _expect_ready(child)
            self._ready.release()
            while True:
                await self._serve(child, await self._jobs.get())
        finally:
            self.pids.discard(child.pid)

    async def _serve(self, child: Child, job: _Job) -> None:
        if job.answer.done():  # the caller gave up while it waited
            return
        job.tries += 1
        try:
            text = await _ask(child, job)
        except WorkerDied:
            if not job.answer.done():
                self._retry(job)
            raise
        if not job.answer.done():
            job.answer.set_result(text)

    def _retry(self, job: _Job) -> None:
        if job.tries < _TRIES:
            self._jobs.put_nowait(job)
        else:
            job.answer.set_exception(ProviderUnavailable("the recogniser failed on a recording"))


async def _expect_ready(child: Child) -> None:
    try:
        async with asyncio.timeout(_START_TIMEOUT_S):
            line = await child.stdout.readline()
    except TimeoutError as error:
        raise WorkerDied("it did not start in time") from error
    if line != READY:
        raise WorkerDied("it ended while starting")


async def _ask(child: Child, job: _Job) -> str:
    recording = job.recording
    head = REQUEST.pack(len(recording.pcm), recording.rate_hz, recording.band_hz)
    try:
        async with _patience(job):
            child.stdin.write(head + recording.pcm)
            await child.stdin.drain()
            (length,) = ANSWER.unpack(await child.stdout.readexactly(ANSWER.size))
            body = await child.stdout.readexactly(length)
    except TimeoutError as error:
        raise WorkerDied("it took too long") from error
    except (OSError, asyncio.IncompleteReadError) as error:
        raise WorkerDied("it ended") from error
    return str(json.loads(body)["text"])


@asynccontextmanager
async def _patience(job: _Job) -> AsyncIterator[None]:
    """Limit the time a worker has; there is less of it once nobody waits for the answer.

    Raises:
        TimeoutError: it is over.
    """
    loop = asyncio.get_running_loop()
    works = True
    async with asyncio.timeout(_HUNG_S) as limit:

        def give_up_soon(_answer: asyncio.Future[str]) -> None:
            # Scheduled when the caller left, it may run only after the worker has answered.
            if works and not limit.expired():
                limit.reschedule(loop.time() + _ABANDONED_S)

        job.answer.add_done_callback(give_up_soon)
        try:
            yield
        finally:
            works = False
            job.answer.remove_done_callback(give_up_soon)
