"""The ports of the lab, all on loopback."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LOOPBACK = "127.0.0.1"

Transport = Literal["tcp", "udp"]


@dataclass(frozen=True)
class Port:
    """A port that a part of the lab listens on."""

    number: int
    transport: Transport
    purpose: str

    @property
    def address(self) -> str:
        """The port as `host:port`."""
        return f"{LOOPBACK}:{self.number}"

    def __str__(self) -> str:
        """Name the port as an error message should: `8088/tcp (ARI)`."""
        return f"{self.number}/{self.transport} ({self.purpose})"


ARI = Port(8088, "tcp", "ARI")
SIP = Port(5060, "udp", "SIP")
TRUNK = Port(5070, "udp", "trunk")
OPERATORS = Port(5080, "udp", "operators")
INBOUND = Port(5071, "udp", "inbound calls")

ASTERISK_RTP = (10000, 11999)
"""First and last RTP port of Asterisk: 2 for each leg, 500 calls with an operator."""
CALLEE_RTP = 12000
"""First RTP port of the simulated customers; SIPp counts upwards from it, two for each call."""
OPERATOR_RTP = 24000
INBOUND_RTP = 36000
