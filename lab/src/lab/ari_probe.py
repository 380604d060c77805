"""Asks the lab's Asterisk whether it can take calls."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from lab import addresses
from lab.asterisk_config import ARI_USERNAME

_TIMEOUT_S = 1.0


@dataclass(frozen=True)
class AsteriskState:
    """What a running Asterisk says of itself."""

    version: str
    reachable: frozenset[str]
    """The SIP endpoints that answered when Asterisk last asked."""


def probe(ari_password: str) -> AsteriskState | None:
    """Ask over ARI; None while Asterisk does not answer, starts, or refuses the password."""
    auth = httpx.BasicAuth(ARI_USERNAME, ari_password)
    base_url = f"http://{addresses.ARI.address}/ari"
    try:
        with httpx.Client(base_url=base_url, auth=auth, timeout=_TIMEOUT_S, trust_env=False) as ari:
            info = ari.get("/asterisk/info").raise_for_status().json()
            endpoints = ari.get("/endpoints").raise_for_status().json()
    except httpx.HTTPError:
        return None
    return AsteriskState(
        version=str(info["system"]["version"]),
        reachable=frozenset(e["resource"] for e in endpoints if e["state"] == "online"),
    )
