"""Calls Asterisk from the trunk's side: an inbound call, by someone who speaks."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab import addresses, behaviours, network, ports, scenarios
from lab.behaviours import PromptLengths, Talk
from lab.errors import LabError
from lab.paths import LabPaths

_RESULTS = {0: "the call was answered and ended normally", 1: "the call was not answered"}
_ERRORS = "inbound.errors"
_GRACE_S = 40
"""How much longer than the caller talks a call may last."""


def call(paths: LabPaths, number: str, caller: str, behaviour: str, prompts: PromptLengths) -> str:
    """Call `number` once and wait for the end of the call; say how it went.

    Raises LabError when the call was not answered or the port it is made from is taken.
    """
    for name, value in (("--to", number), ("--caller", caller)):
        if not (value.isascii() and value.isdigit() and len(value) in range(2, 16)):
            raise LabError(f"{name} must be 2 to 15 digits")
    owner = ports.owner_of(addresses.INBOUND)
    if owner is not None:
        raise LabError(f"port {addresses.INBOUND} is taken by {owner}: wait for it to end")
    ending = behaviours.INBOUND_CALLERS[behaviour]
    talk = network.customers(paths, prompts)[ending]
    if not isinstance(talk, Talk):
        raise LabError(f"{behaviour} is not something a caller can do")
    track = network.first_track(ending, talk, paths)
    paths.sipp.mkdir(parents=True, exist_ok=True)
    scenario = paths.sipp / "inbound.xml"
    scenario.write_text(scenarios.calling_side(number, caller, talk, track))
    status = _run(paths, scenario, talk.leave_ms / 1000 + _GRACE_S)
    if status != 0:
        reason = _RESULTS.get(status, f"SIPp ended with status {status}")
        raise LabError(f"{reason}; the messages are in {paths.log / _ERRORS}")
    return _RESULTS[0]


def _run(paths: LabPaths, scenario: Path, timeout_s: float) -> int:
    arguments = network.sipp_arguments(scenario, addresses.INBOUND, addresses.INBOUND_RTP)
    trace = ("-trace_err", "-error_file", str(paths.log / _ERRORS))
    # One call, which ends with the first message that is not in the scenario: a refusal.
    once = ("-m", "1", "-default_behaviors", "all")
    try:
        done = subprocess.run(
            ["sipp", *arguments, *once, *trace, addresses.SIP.address],
            check=False,
            cwd=paths.base,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
        )
    except subprocess.TimeoutExpired as error:
        raise LabError(f"the call did not end within {timeout_s:.0f} s: given up") from error
    return done.returncode
