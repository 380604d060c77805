"""Which prompts there are, and what each is made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from servicekit.errors import StartupError

PROMPT_NAMES = ("hello", "goodby", "yes", "number", "onhold")
OPTIONAL_NAMES = ("moment",)
"""Made where there is a text or a recording; no call needs them."""
# .m4a is not taken: it is looked for so that whoever puts one there is told.
_RECORDINGS = (".mp3", ".wav", ".ogg", ".flac", ".m4a")
_LONGEST_TEXT = 1000


@dataclass(frozen=True)
class Prompt:
    """One prompt in one language.

    Attributes:
        name: its name in the scenario, and its file's name.
        language: `fa` or `en`.
        text: what is spoken where there is no recording.
        recording: the user's own recording; None without.
    """

    name: str
    language: str
    text: str
    recording: Path | None


def load_prompts(file: Path, language: str) -> list[Prompt]:
    """Read the prompts of one language; recordings are looked for beside the file.

    Raises:
        StartupError: the file cannot be read, or a text is missing; names file and prompt.
    """
    texts = _texts(file, language)
    prompts = [
        Prompt(name, language, _text(texts, name, language, file), _recording(file, language, name))
        for name in PROMPT_NAMES
    ]
    for name in OPTIONAL_NAMES:
        recording = _recording(file, language, name)
        if name in texts or recording is not None:
            text = _text(texts, name, language, file) if name in texts else ""
            prompts.append(Prompt(name, language, text, recording))
    return prompts


def _texts(file: Path, language: str) -> dict[object, Any]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        first = str(error).partition("\n")[0]
        raise StartupError(
            f"PROMPTS_FILE={file} cannot be read ({first}): mend the file"
        ) from error
    texts = document.get(language) if isinstance(document, dict) else None
    if not isinstance(texts, dict):
        raise StartupError(
            f"PROMPTS_FILE={file} has no texts for the language {language}: "
            f"add a section {language} with {', '.join(PROMPT_NAMES)}"
        )
    return texts


def _text(texts: dict[object, Any], name: str, language: str, file: Path) -> str:
    text = texts.get(name)
    # YAML reads an unquoted key `yes` as the truth value, which nobody who writes it expects.
    if name == "yes" and text is None:
        text = texts.get(True)
    if not isinstance(text, str) or not 0 < len(text.strip()) <= _LONGEST_TEXT:
        raise StartupError(
            f"PROMPTS_FILE={file} has no text {language}.{name}: "
            f"give it 1 to {_LONGEST_TEXT} characters"
        )
    return " ".join(text.split())


def _recording(file: Path, language: str, name: str) -> Path | None:
    candidates = [file.parent / language / f"{name}{suffix}" for suffix in _RECORDINGS]
    return next((path for path in candidates if path.is_file()), None)
