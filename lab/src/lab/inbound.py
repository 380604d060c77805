"""Calls Asterisk from the trunk's side: an inbound call, by someone who speaks."""

from __future__ import annotations

import subprocess

from lab import addresses, behaviours, network, ports, scenarios
from lab.behaviours import PromptLengths, Talk
from lab.errors import LabError
from lab.paths import LabPaths

_RESULTS = {0: "the call was answered and ended normally", 1: "the call was not answered"}
GIVES_UP = "gives-up"
"""Takes the call back before it is answered."""

CALLERS = (*behaviours.INBOUND_CALLERS, GIVES_UP)
"""What an inbound caller can do."""

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
    if behaviour == GIVES_UP:
        text, lasts_s = scenarios.giving_up(number, caller), 0.0
    else:
        ending = behaviours.INBOUND_CALLERS[behaviour]
        talk = network.customers(paths, prompts)[ending]
        if not isinstance(talk, Talk):
            raise LabError(f"{behaviour} is not something a caller can do")
        track = network.first_track(ending, talk, paths)
        text, lasts_s = scenarios.calling_side(number, caller, talk, track), talk.leave_ms / 1000
    status = run(paths, text, lasts_s + _GRACE_S)
    if status != 0:
        reason = _RESULTS.get(status, f"SIPp ended with status {status}")
        raise LabError(f"{reason}; the messages are in {paths.log / _ERRORS}")
    return "the call was taken back" if behaviour == GIVES_UP else _RESULTS[0]


def run(paths: LabPaths, text: str, timeout_s: float, *, calls: int = 1) -> int:
    """Lead calls by a scenario, a few more each second; give SIPp's status when all have ended.

    Raises LabError when they do not end within `timeout_s` seconds.
    """
    paths.sipp.mkdir(parents=True, exist_ok=True)
    scenario = paths.sipp / "inbound.xml"
    scenario.write_text(text)
    arguments = network.sipp_arguments(scenario, addresses.INBOUND, addresses.INBOUND_RTP)
    trace = ("-trace_err", "-error_file", str(paths.log / _ERRORS))
    # A call ends with the first message that is not in the scenario: a refusal.
    once = ("-m", str(calls), "-r", "5", "-default_behaviors", "all")
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
