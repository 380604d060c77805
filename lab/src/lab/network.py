"""The simulated phone network: customers behind the trunk, and the operators' PBX."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from lab import addresses, behaviours, scenarios, troubles, voices
from lab.addresses import Port
from lab.behaviours import PromptLengths, Talk
from lab.paths import LabPaths
from lab.processes import Part

CUSTOMERS_NAME = "customers"
OPERATORS_NAME = "operators"


@dataclass(frozen=True)
class PhoneNetwork:
    """The parts to run, once their audio and scenarios are on disk."""

    customers: Part
    operators: Part


def prepare(paths: LabPaths, prompts: PromptLengths) -> PhoneNetwork:
    """Render audio and scenarios, and describe the two SIPp processes that use them."""
    people = customers(paths, prompts)
    tracks = {
        ending: _tracks(ending, behaviour, paths)
        for ending, behaviour in people.items()
        if isinstance(behaviour, Talk)
    }
    operator_track = _track("operator", behaviours.OPERATOR_TALK, voices.VOICES[1], paths)
    troubled = {
        ending: (behaviour, _operator_track(ending, behaviour, paths))
        for ending, behaviour in troubles.operators().items()
    }
    customer_scenario = scenarios.called_side(
        CUSTOMERS_NAME,
        scenarios.customer_choices(people, tracks),
        behaviours.CUSTOMER_RING_MS,
    )
    operator_scenario = scenarios.called_side(
        OPERATORS_NAME,
        scenarios.operator_choices(operator_track, troubled),
        behaviours.OPERATOR_RING_MS,
    )
    return PhoneNetwork(
        customers=_part(
            CUSTOMERS_NAME, customer_scenario, addresses.TRUNK, addresses.CALLEE_RTP, paths
        ),
        operators=_part(
            OPERATORS_NAME, operator_scenario, addresses.OPERATORS, addresses.OPERATOR_RTP, paths
        ),
    )


def customers(paths: LabPaths, prompts: PromptLengths) -> dict[str, behaviours.Behaviour]:
    """Give the customers' behaviours, timed by these prompts and the phrases' real lengths."""
    phrase_ms = voices.longest_ms(behaviours.PHRASES, _phrases(paths), _log(paths))
    return behaviours.customers(prompts, phrase_ms) | troubles.customers(phrase_ms)


def first_track(ending: str, talk: Talk, paths: LabPaths) -> Path:
    """Give what a person of this ending sends, in the first voice."""
    return _track(ending, talk, voices.VOICES[0], paths)


def sipp_arguments(scenario: Path, port: Port, first_rtp_port: int) -> tuple[str, ...]:
    """Give the arguments all SIPp processes share: everything on loopback, nothing on a screen."""
    loopback, number = addresses.LOOPBACK, str(port.number)
    control_port = str(port.number + 1000)
    return (
        *("-sf", str(scenario), "-i", loopback, "-p", number),
        *("-ci", loopback, "-cp", control_port, "-nostdin", "-buff_size", "4000000"),
        *("-mi", loopback, "-mp", str(first_rtp_port)),
    )


def _tracks(ending: str, talk: behaviours.Behaviour, paths: LabPaths) -> tuple[Path, ...]:
    if not isinstance(talk, Talk):
        return ()
    many = ending in behaviours.VOICED
    speakers = voices.VOICES if many else voices.VOICES[:1]
    return tuple(_track(ending, talk, voice, paths) for voice in speakers)


def _operator_track(ending: str, behaviour: behaviours.Behaviour, paths: LabPaths) -> Path | None:
    if not isinstance(behaviour, Talk):
        return None
    return _track(f"operator{ending}", behaviour, voices.VOICES[1], paths)


def _track(name: str, talk: Talk, voice: str, paths: LabPaths) -> Path:
    """Render a track unless it is there; its name tells what is in it. Relative to the lab."""
    digest = hashlib.sha256(f"{talk}{voice}{voices.RENDERING}".encode()).hexdigest()[:10]
    suffix = "pcap" if talk.events else "alaw"
    target = paths.audio / f"{name}-{voice}-{digest}.{suffix}"
    if not target.exists():
        for stale in paths.audio.glob(f"{name}-{voice}-*"):
            stale.unlink()
        paths.audio.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".unfinished")
        voices.write_track(talk, voice, unfinished, _phrases(paths), _log(paths))
        unfinished.rename(target)
    return target.relative_to(paths.base)


def _part(name: str, scenario: str, port: Port, first_rtp_port: int, paths: LabPaths) -> Part:
    file = paths.sipp / f"{name}.xml"
    errors = ("-trace_err", "-error_file", str(paths.log / f"{name}.errors"))
    # A message that comes unexpected (a late retransmission) does not end the call.
    patient = ("-default_behaviors", "all,-abortunexp")
    argv = ("sipp", *sipp_arguments(file, port, first_rtp_port), *patient, *errors)
    return Part(name=name, argv=argv, ports=(port,), configuration={file: scenario})


def _phrases(paths: LabPaths) -> Path:
    return paths.audio / f"phrases-{voices.RENDERING}"


def _log(paths: LabPaths) -> Path:
    return paths.log / "audio.log"
