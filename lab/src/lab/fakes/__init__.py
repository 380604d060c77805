"""Fakes of the outside services: real HTTP servers that speak as the real ones do, faults included.

Each answers, besides its own API:

    GET    /_control    its state, `busy` and `peak` (requests served at once) among it
    POST   /_control    {"faults": [...], ...}: faults to come, and what the fake itself lets set
    DELETE /_control    back to the beginning
    GET    /_received   what it received, oldest first
    DELETE /_received   forget that
"""

from __future__ import annotations
