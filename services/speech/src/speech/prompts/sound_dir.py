"""The directory Asterisk plays from: what is there, and what we put there."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from speech.files import write_whole

_MANIFEST = ".salehi-prompts.json"
# Asterisk takes whichever known form is cheapest to translate, so one that was left behind wins
# over ours on some calls and not on others.
OTHER_FORMS = (
    "WAV", "al", "alaw", "alw", "au", "codec2", "g719", "g722", "g723", "g723sf", "g726-16",
    "g726-24", "g726-32", "g726-40", "g729", "gsm", "ilbc", "mp3", "mu", "ogg", "opus", "pcm",
    "raw", "siren14", "siren7", "sln", "sln12", "sln16", "sln192", "sln24", "sln32", "sln44",
    "sln48", "sln96", "slin", "ul", "ulaw", "ulw", "vox", "wav16", "wav49",
)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A prompt as it was last made.

    Attributes:
        source: hash of what it was made from.
        output: hash of the file.
    """

    source: str
    output: str


class SoundDir:
    """One language's prompts below AST_SOUND_DIR. Blocking; raises OSError as the disk does."""

    def __init__(self, root: Path, language: str) -> None:
        self._root = root
        self._directory = root / language

    def prepare(self) -> None:
        """Make the language's directory; AST_SOUND_DIR itself must be there."""
        if not self._root.is_dir():
            raise NotADirectoryError(20, "no such directory", str(self._root))
        self._directory.mkdir(mode=0o755, exist_ok=True)

    def is_current(self, name: str, source: str) -> bool:
        """Whether the file is there, unchanged, and made from this source."""
        made = self._manifest().get(name)
        path = self._path(name)
        if made is None or made.source != source or not path.is_file():
            return False
        return made.output == hashlib.sha256(path.read_bytes()).hexdigest()

    def put(self, name: str, content: bytes, source: str) -> None:
        """Write a prompt in one step and note what it was made from."""
        write_whole(self._path(name), content)
        made = self._manifest()
        made[name] = Made(source, hashlib.sha256(content).hexdigest())
        lines = {key: {"source": one.source, "output": one.output} for key, one in made.items()}
        text = json.dumps(lines, indent=1, sort_keys=True) + "\n"
        write_whole(self._directory / _MANIFEST, text.encode())

    def remove_other_forms(self, name: str) -> list[str]:
        """Remove other forms of the prompt that Asterisk might prefer; give their names."""
        removed = []
        for form in OTHER_FORMS:
            path = self._directory / f"{name}.{form}"
            if path.is_file():
                path.unlink()
                removed.append(path.name)
        return removed

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.wav"

    def _manifest(self) -> dict[str, Made]:
        """Read the notes; broken ones are as good as none, the prompts are made again."""
        try:
            lines = json.loads((self._directory / _MANIFEST).read_text(encoding="utf-8"))
            return {name: Made(one["source"], one["output"]) for name, one in lines.items()}
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return {}
