from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from intent.service import SERVICE
from intent.settings import IntentSettings
from salehi.intent.v1 import intent_pb2 as pb
from salehi.intent.v1 import intent_pb2_grpc
from servicekit.channel import Peer
from servicekit.errors import StartupError
from servicekit.settings import load_settings
from support.ports import free_port


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


def _campaign_file(folder: Path) -> Path:
    path = folder / "campaign.yaml"
    rules = "{places: {signal: neutral, match: PLACE}}"
    path.write_text(f"en:\n  words: {{PLACE: zanzibar}}\n  rules: {rules}\n", encoding="utf-8")
    return path


async def test_process_serves_is_healthy_and_keeps_transcripts_out_of_its_log(
    tmp_path: Path,
) -> None:
    """The process answers with a campaign's rules, is healthy, and ends with 0.

    What was said stands in the transcript log that was asked for, and in no other.
    """
    port = free_port()
    ports = {"INTENT_PORT": str(port), "INTENT_METRICS_PORT": str(free_port())}
    language = {"CALL_LANGUAGE": "en", "INTENT_RULES_FILE": str(_campaign_file(tmp_path))}
    process = await _run(tmp_path, **ports, **language, LOG_LEVEL="DEBUG", TRANSCRIPT_LOGS="true")
    async with Peer(f"127.0.0.1:{port}", SERVICE) as peer:
        async with asyncio.timeout(20):
            await peer.channel.channel_ready()
        stub: intent_pb2_grpc.IntentServiceAsyncStub = intent_pb2_grpc.IntentServiceStub(
            peer.channel
        )
        request = pb.ClassifyRequest(text="zanzibar yes", attempt_id="attempt-7")
        answer = await stub.Classify(request, timeout=3)
        health: Any = health_pb2_grpc.HealthStub(peer.channel)  # its stubs name no methods
        asked = health_pb2.HealthCheckRequest(service=SERVICE)
        status = await health.Check(asked, timeout=3)
    process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(5):
        stdout, stderr = await process.communicate()
    assert answer.intent == pb.INTENT_YES
    assert answer.matched[0] == "campaign.places"
    assert status.status == health_pb2.HealthCheckResponse.SERVING
    assert process.returncode == 0
    log = (tmp_path / "logs" / "app.log").read_text("utf-8")
    assert "serving" in log
    assert "zanzibar" not in log + stdout.decode() + stderr.decode()
    (kept,) = (tmp_path / "data" / "transcripts").glob("positive-*.jsonl")
    line = json.loads(kept.read_text("utf-8"))
    assert (line["attempt_id"], line["text"]) == ("attempt-7", "zanzibar yes")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("INTENT_STRATEGY", "guess", "rules-first"),
        ("INTENT_BUDGET", "0", "seconds"),
        ("MAX_PARALLEL_LLM", "none", "1 to 1000"),
        ("GAPGPT_BASE_URL", "api.example", "http"),
        ("GAPGPT_FALLBACK_URL", "api.example", "http"),
        ("TRANSCRIPT_LOGS", "perhaps", "true"),
        ("TRANSCRIPT_LOG_DAYS", "0", "1 to 3650"),
    ],
)
def test_a_bad_value_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str, allowed: str
) -> None:
    """A wrong value is refused in one line: setting, value, what is allowed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    with pytest.raises(StartupError) as caught:
        load_settings(IntentSettings)
    assert len(str(caught.value).splitlines()) == 1
    assert f"{name}={value}" in str(caught.value)
    assert allowed in str(caught.value)


BROKEN_RULES = "fa:\n  rules:\n    course: {signal: wish, match: COURSE ..2 بگید}\n"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"INTENT_STRATEGY": "llm-first"}, ("GAPGPT_API_KEY is not set", "llm-first")),
        (
            {"INTENT_RULES_FILE": "campaign.yaml"},
            (
                "INTENT_RULES_FILE=campaign.yaml cannot be used: fa, rule campaign.course: pattern",
                "'COURSE ..2 بگید': no words are listed for class COURSE",
            ),
        ),
    ],
)
async def test_what_cannot_start_says_so_in_one_line(
    tmp_path: Path, environment: dict[str, str], words: tuple[str, ...]
) -> None:
    """Settings that do not fit, and a campaign's broken rule, end the process with 3 and a line."""
    (tmp_path / "campaign.yaml").write_text(BROKEN_RULES, encoding="utf-8")
    ports = {"INTENT_PORT": str(free_port()), "INTENT_METRICS_PORT": str(free_port())}
    process = await _run(tmp_path, **ports, **environment)
    async with asyncio.timeout(30):
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
        ports = {"INTENT_PORT": str(port), "INTENT_METRICS_PORT": str(free_port())}
        process = await _run(tmp_path, **ports)
        async with asyncio.timeout(20):
            _, stderr = await process.communicate()
    assert process.returncode == 3
    assert f"INTENT_PORT={port}" in stderr.decode()
    own = [line for line in stderr.decode().splitlines() if line.startswith("intent: ")]
    assert len(own) == 1
    assert "Traceback" not in stderr.decode()
