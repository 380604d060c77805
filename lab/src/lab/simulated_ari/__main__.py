"""`python -m lab.simulated_ari`: a simulated ARI on a port, until the process is told to stop."""

from __future__ import annotations

import os
import socket
from typing import Annotated

import typer
import uvloop

from lab.simulated_ari.people import People
from lab.simulated_ari.server import SimulatedAri
from lab.simulated_ari.serving import server_of

_USUAL = People()

Seconds = Annotated[float, typer.Option(min=0.01, help="Seconds.")]


def main(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8188,
    username: str = "salehi",
    prompt_s: Seconds = _USUAL.prompt_s,
    rings_s: Seconds = _USUAL.rings_s,
    operator_talks_s: Seconds = _USUAL.operator_talks_s,
) -> None:
    """Serve ARI below /ari; the password is ARI_PASSWORD of the environment."""
    people = People(prompt_s=prompt_s, rings_s=rings_s, operator_talks_s=operator_talks_s)
    ari = SimulatedAri(people, username=username, password=os.environ.get("ARI_PASSWORD", ""))
    with socket.create_server(("127.0.0.1", port)) as listener:
        uvloop.run(server_of(ari).serve(sockets=[listener]))


if __name__ == "__main__":
    typer.run(main)
