from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pydantic import SecretStr

from intent.llm import Llm
from intent.service import SERVICE, IntentServicer
from intent.settings import IntentSettings, Strategy
from intent.strategy import Classifier
from lab.fakes.faults import Fault, FaultKind
from lab.fakes.llm import FakeLlm
from lab.fakes.serving import serving
from salehi.intent.v1 import intent_pb2 as pb
from salehi.intent.v1 import intent_pb2_grpc
from servicekit.breaker import Breaker
from servicekit.channel import Peer
from servicekit.server import GrpcServer, GrpcService

UNCLEAR = "اون قضیه که گفتید رو پیگیرم"


@asynccontextmanager
async def _stub(
    llm: Llm | None = None, strategy: Strategy = Strategy.RULES_FIRST
) -> AsyncIterator[intent_pb2_grpc.IntentServiceAsyncStub]:
    """Runs the servicer behind a real gRPC server."""
    servicer = IntentServicer(Classifier(strategy, llm, Breaker(), budget_s=2.0), "fa")
    add = intent_pb2_grpc.add_IntentServiceServicer_to_server
    server = GrpcServer([GrpcService(SERVICE, add, servicer)])
    port = await server.start("127.0.0.1", 0, "INTENT_PORT")
    try:
        async with Peer(f"127.0.0.1:{port}", SERVICE, idempotent=["Classify"]) as peer:
            yield intent_pb2_grpc.IntentServiceStub(peer.channel)
    finally:
        await server.drain(0)


@pytest.fixture
async def stub() -> AsyncIterator[intent_pb2_grpc.IntentServiceAsyncStub]:
    """Serves rules only."""
    async with _stub() as stub:
        yield stub


@pytest.mark.parametrize(
    ("text", "language", "intent"),
    [
        ("بله", "fa", pb.INTENT_YES),
        ("نه ممنون", "fa", pb.INTENT_NO),
        ("شماره منو از کجا آوردید", "", pb.INTENT_NUMBER_QUESTION),
        ("do not call me again", "en", pb.INTENT_DO_NOT_CALL),
        ("", "en", pb.INTENT_UNKNOWN),
    ],
)
async def test_classify(
    stub: intent_pb2_grpc.IntentServiceAsyncStub, text: str, language: str, intent: int
) -> None:
    """Each intent crosses the wire; an empty language is the service's; empty text is unknown."""
    answer = await stub.Classify(pb.ClassifyRequest(text=text, language=language), timeout=3)
    assert answer.intent == intent
    assert answer.decided_by == pb.DECIDED_BY_RULES
    assert answer.provider_state == pb.PROVIDER_STATE_UNSPECIFIED
    assert 0 < answer.confidence <= 1
    assert "." in answer.evidence


@pytest.mark.parametrize(
    ("text", "language"),
    [("x" * 4097, "en"), ("x" * 1_000_000, "en"), ("yes", "de"), ("yes", "EN")],
)
async def test_bad_requests_are_invalid_arguments(
    stub: intent_pb2_grpc.IntentServiceAsyncStub, text: str, language: str
) -> None:
    """Too long a text and an unknown language are INVALID_ARGUMENT, without the text in it."""
    with pytest.raises(aio.AioRpcError) as caught:
        await stub.Classify(pb.ClassifyRequest(text=text, language=language), timeout=3)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "xxx" not in (caught.value.details() or "")


async def test_longest_text_is_served(stub: intent_pb2_grpc.IntentServiceAsyncStub) -> None:
    """4,096 characters of two bytes each are classified."""
    answer = await stub.Classify(pb.ClassifyRequest(text="ب" * 4096, language="fa"), timeout=3)
    assert answer.intent == pb.INTENT_UNKNOWN


@pytest.mark.parametrize(
    ("fault", "decided_by", "state"),
    [
        (None, pb.DECIDED_BY_LLM, pb.PROVIDER_STATE_OK),
        (
            Fault(FaultKind.NO_CREDIT),
            pb.DECIDED_BY_RULES_FALLBACK,
            pb.PROVIDER_STATE_OUT_OF_CREDIT,
        ),
        (
            Fault(FaultKind.STATUS, status=500),
            pb.DECIDED_BY_RULES_FALLBACK,
            pb.PROVIDER_STATE_UNAVAILABLE,
        ),
        (Fault(FaultKind.HANG), pb.DECIDED_BY_RULES_FALLBACK, pb.PROVIDER_STATE_UNAVAILABLE),
    ],
)
async def test_an_unclear_reply_within_the_callers_deadline(
    fault: Fault | None, decided_by: int, state: int
) -> None:
    """With an LLM that answers, fails or hangs, an answer comes before the caller's deadline."""
    fake = FakeLlm()
    fake.default = "yes"
    if fault is not None:
        fake.break_next(fault)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(fake))
        settings = IntentSettings(
            gapgpt_base_url=f"{url}/v1", gapgpt_api_key=SecretStr("key"), llm_model="m-1"
        )
        llm = await stack.enter_async_context(Llm(settings))
        stub = await stack.enter_async_context(_stub(llm))
        answer = await stub.Classify(pb.ClassifyRequest(text=UNCLEAR), timeout=0.8)
    assert (answer.decided_by, answer.provider_state) == (decided_by, state)
    if fault is None:
        assert (answer.intent, answer.evidence) == (pb.INTENT_YES, "m-1")


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def _run(folder: Path, **environment: str) -> asyncio.subprocess.Process:
    """Starts the service as a process with nothing but the given settings."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "intent"),
        cwd=folder,
        env={**kept, "LOG_DIR": str(folder / "logs"), **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_process_serves_is_healthy_and_keeps_transcripts_out_of_its_log(
    tmp_path: Path,
) -> None:
    """The process answers on INTENT_PORT, is healthy, logs no transcript and ends with 0."""
    port = _free_port()
    ports = {"INTENT_PORT": str(port), "INTENT_METRICS_PORT": str(_free_port())}
    process = await _run(tmp_path, **ports, CALL_LANGUAGE="en", LOG_LEVEL="DEBUG")
    async with Peer(f"127.0.0.1:{port}", SERVICE) as peer:
        async with asyncio.timeout(20):
            await peer.channel.channel_ready()
        stub: intent_pb2_grpc.IntentServiceAsyncStub = intent_pb2_grpc.IntentServiceStub(
            peer.channel
        )
        answer = await stub.Classify(pb.ClassifyRequest(text="zanzibar yes"), timeout=3)
        health: Any = health_pb2_grpc.HealthStub(peer.channel)  # its stubs name no methods
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        status = await health.Check(request, timeout=3)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(5):
        stdout, stderr = await process.communicate()
    assert answer.intent == pb.INTENT_YES
    assert status.status == health_pb2.HealthCheckResponse.SERVING
    assert process.returncode == 0
    log = (tmp_path / "logs" / "app.log").read_text("utf-8")
    assert "serving" in log
    assert "zanzibar" not in log + stdout.decode() + stderr.decode()


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"INTENT_STRATEGY": "guess"}, ("INTENT_STRATEGY=guess", "rules-first")),
        ({"INTENT_STRATEGY": "llm-first"}, ("GAPGPT_API_KEY is not set", "llm-first")),
        ({"INTENT_BUDGET": "0"}, ("INTENT_BUDGET=0", "seconds")),
        ({"MAX_PARALLEL_LLM": "none"}, ("MAX_PARALLEL_LLM=none", "1 to 1000")),
        ({"GAPGPT_BASE_URL": "api.example"}, ("GAPGPT_BASE_URL=api.example", "http")),
    ],
)
async def test_a_bad_setting_is_one_line(
    tmp_path: Path, environment: dict[str, str], words: tuple[str, ...]
) -> None:
    """A wrong value ends the process with 3 and one line: setting, value, what is allowed."""
    process = await _run(tmp_path, **environment)
    async with asyncio.timeout(20):
        _, stderr = await process.communicate()
    said = stderr.decode().strip()
    assert process.returncode == 3
    assert len(said.splitlines()) == 1
    assert all(word in said for word in words)


async def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    """A port in use ends the process with 3 and one line that names setting and port."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ports = {"INTENT_PORT": str(port), "INTENT_METRICS_PORT": str(_free_port())}
        process = await _run(tmp_path, **ports)
        async with asyncio.timeout(20):
            _, stderr = await process.communicate()
    assert process.returncode == 3
    assert f"INTENT_PORT={port}" in stderr.decode()
    own = [line for line in stderr.decode().splitlines() if line.startswith("intent: ")]
    assert len(own) == 1
    assert "Traceback" not in stderr.decode()
