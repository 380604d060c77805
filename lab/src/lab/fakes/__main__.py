"""`python -m lab.fakes`: all fakes in one process, or one of them.

python -m lab.fakes --panel-port 8071 --vira-port 8072
python -m lab.fakes panel --port 8071
"""

from __future__ import annotations

import asyncio
import sys
from typing import Annotated

import typer

from lab.errors import LabError
from lab.fakes.base import Fake
from lab.fakes.llm import FakeLlm
from lab.fakes.panel import FakePanel
from lab.fakes.serving import serve_all
from lab.fakes.sms import FakeSms
from lab.fakes.stt import FakeStt
from lab.fakes.tts import FakeTts
from lab.fakes.vira import FakeVira

PANEL_PORT = 8071
VIRA_PORT = 8072
LLM_PORT = 8073
SMS_PORT = 8074
STT_PORT = 8075
TTS_PORT = 8076
EXIT_REFUSED = 3

_PORTS = typer.Option(min=1, max=65535, help="Port to listen on.")

app = typer.Typer(help=__doc__, add_completion=False, pretty_exceptions_enable=False)

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Port = Annotated[int, _PORTS]


@app.callback(invoke_without_command=True)
def all_fakes(  # noqa: PLR0913, PLR0917 - one option for each fake
    context: typer.Context,
    panel_port: Port = PANEL_PORT,
    vira_port: Port = VIRA_PORT,
    llm_port: Port = LLM_PORT,
    sms_port: Port = SMS_PORT,
    stt_port: Port = STT_PORT,
    tts_port: Port = TTS_PORT,
    host: Host = "127.0.0.1",
) -> None:
    """Serve all fakes, unless one is named."""
    if context.invoked_subcommand is None:
        _serve(
            host,
            ("panel", FakePanel(), panel_port),
            ("vira", FakeVira(), vira_port),
            ("llm", FakeLlm(), llm_port),
            ("sms", FakeSms(), sms_port),
            ("stt", FakeStt(), stt_port),
            ("tts", FakeTts(), tts_port),
        )


@app.command()
def panel(port: Port = PANEL_PORT, host: Host = "127.0.0.1") -> None:
    """Serve the campaign panel."""
    _serve(host, ("panel", FakePanel(), port))


@app.command()
def vira(port: Port = VIRA_PORT, host: Host = "127.0.0.1") -> None:
    """Serve Vira's speech to text and text to speech."""
    _serve(host, ("vira", FakeVira(), port))


@app.command()
def llm(port: Port = LLM_PORT, host: Host = "127.0.0.1") -> None:
    """Serve the OpenAI-compatible LLM."""
    _serve(host, ("llm", FakeLlm(), port))


@app.command()
def sms(port: Port = SMS_PORT, host: Host = "127.0.0.1") -> None:
    """Serve the SMS gateways."""
    _serve(host, ("sms", FakeSms(), port))


@app.command()
def stt(port: Port = STT_PORT, host: Host = "127.0.0.1") -> None:
    """Serve the OpenAI-compatible transcription server."""
    _serve(host, ("stt", FakeStt(), port))


@app.command()
def tts(port: Port = TTS_PORT, host: Host = "127.0.0.1") -> None:
    """Serve the OpenAI-compatible server that speaks."""
    _serve(host, ("tts", FakeTts(), port))


def _serve(host: str, *fakes: tuple[str, Fake, int]) -> None:
    for name, _, port in fakes:
        print(f"{name}: http://{host}:{port}", flush=True)
    try:
        asyncio.run(serve_all([(fake, port) for _, fake, port in fakes], host))
    except LabError as error:
        print(f"fakes: {error}", file=sys.stderr)
        sys.exit(EXIT_REFUSED)


if __name__ == "__main__":
    app()
