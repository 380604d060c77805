"""Asks the providers of STT_PROVIDERS about recordings of your own, and marks their answers.

The settings are the speech service's (ENV_FILE, else .env); a provider bills every question.
"""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from evaluation.measures import Outcome
from evaluation.tables import table_of_recordings
from intent.meaning import Language, Meaning
from intent.normalise import normalise
from intent.rules import classify
from servicekit.errors import StartupError
from servicekit.settings import load_settings
from speech.audio import Recording, read_wav
from speech.engines import build_stt, http_client
from speech.enhance import enhance
from speech.errors import BadRequest, SpeechError
from speech.settings import SpeechSettings
from speech.stt.base import Utterance
from speech.stt.transcriber import Transcriber
from speech.vad import SpeechDetector

_COLUMNS = {"file", "text", "intent"}
_WAYS = ("on", "denoise", "off")
_LONGEST_ENHANCE_S = 30.0
_LONGEST_ANSWER_S = 60.0


@dataclass(frozen=True)
class Labelled:
    """A recording, and what a person says about it.

    Attributes:
        recording: what was recorded.
        text: what was said, normalised; empty when nobody wrote it down. Personal data.
        intent: what it means.
    """

    recording: Recording
    text: str
    intent: Meaning


async def evaluate_recordings(
    directory: Path, labels: Path, language: Language, *, compares: bool
) -> list[str]:
    """Give the table's lines, for the set value of ENHANCE, or `compares`: for each of them.

    Raises:
        StartupError: the settings, the labels or a recording are not as wanted, or no provider
            answers; says which and why.
    """
    recordings = read_labels(directory, labels)
    settings = load_settings(SpeechSettings)
    ways = _WAYS if compares else (settings.enhance,)
    outcomes: dict[str, list[Outcome]] = {}
    refusal: SpeechError | None = None
    async with _transcriber(settings) as transcriber:
        try:  # in here: an error that left the block would leave as an exception group
            for way in ways:
                outcomes[f"ENHANCE={way}"] = [
                    await _ask(transcriber, one, language, way) for one in recordings
                ]
        except SpeechError as error:
            refusal = error
    if refusal:
        raise StartupError(f"a recording could not be transcribed: {refusal}") from refusal
    return list(table_of_recordings(outcomes))


def read_labels(directory: Path, labels: Path) -> list[Labelled]:
    """Read the CSV and the recordings it names.

    Raises:
        StartupError: one is missing or not as wanted.
    """
    try:
        with labels.open(encoding="utf-8-sig", newline="") as rows:
            reader = csv.DictReader(rows)
            if not set(reader.fieldnames or ()).issuperset(_COLUMNS):
                raise StartupError(f"{labels}: the first line must be file,text,intent")
            labelled = [
                _labelled(directory, f"{labels}, line {number}", row)
                for number, row in enumerate(reader, start=2)
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StartupError(f"{labels} cannot be read: {error}") from error
    if not labelled:
        raise StartupError(f"{labels} names no recording: write one line for each")
    return labelled


def _labelled(directory: Path, where: str, row: dict[str, str | None]) -> Labelled:
    try:
        meaning = Meaning((row["intent"] or "").strip())
    except ValueError as error:
        raise StartupError(f"{where}: intent must be one of {', '.join(Meaning)}") from error
    try:
        recording = read_wav((directory / (row["file"] or "")).read_bytes())
    except (OSError, BadRequest) as error:
        raise StartupError(f"{where}: the recording cannot be used: {error}") from error
    return Labelled(recording, normalise(row["text"] or ""), meaning)


@asynccontextmanager
async def _transcriber(settings: SpeechSettings) -> AsyncIterator[Transcriber]:
    """Give the engines of the settings, and what they need for as long as they are used."""
    async with http_client(settings) as http, asyncio.TaskGroup() as tasks:
        stt = build_stt(settings, http)
        working = tasks.create_task(stt.workers.run()) if stt.workers else None
        try:
            yield stt.transcriber
        finally:
            if working:
                working.cancel()


async def _ask(transcriber: Transcriber, one: Labelled, language: Language, way: str) -> Outcome:
    heard = ""
    if await SpeechDetector().hears_speech(one.recording):
        recording = one.recording
        if way != "off":
            recording = await enhance(recording, _LONGEST_ENHANCE_S, denoises=way == "denoise")
        utterance = Utterance(recording, language)
        transcribed = await transcriber.transcribe(utterance, _LONGEST_ANSWER_S)
        heard = transcribed.transcript.text
    found = classify(heard, language).meaning
    return Outcome(one.text, one.intent, normalise(heard), found, is_known=True)
