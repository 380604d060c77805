"""The directory Asterisk plays from: what is there, and what we put there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from speech.files import remove_abandoned, write_whole
from speech.forms import Form
from speech.prompts.render import Sounds

_MANIFEST = ".salehi-prompts.json"
# Asterisk takes whichever known form is cheapest to translate, so one that was left behind wins
# over ours on some calls and not on others.
_PLAYED = (
    "WAV", "al", "alaw", "alw", "au", "codec2", "g719", "g722", "g723", "g723sf", "g726-16",
    "g726-24", "g726-32", "g726-40", "g729", "gsm", "ilbc", "mp3", "mu", "ogg", "opus", "pcm",
    "raw", "siren14", "siren7", "sln", "sln12", "sln16", "sln192", "sln24", "sln32", "sln44",
    "sln48", "sln96", "slin", "ul", "ulaw", "ulw", "vox", "wav", "wav16", "wav49",
)  # fmt: skip


def other_forms(forms: Sequence[Form]) -> list[str]:
    """Give the suffixes of what Asterisk would play too, beside the forms that are made."""
    return [suffix for suffix in _PLAYED if suffix not in forms]


@dataclass(frozen=True)
class Made:
    """A prompt as it was last made.

    Attributes:
        source: hash of what it was made from.
        outputs: hash of the file of each form.
    """

    source: str
    outputs: dict[str, str]


class SoundDir:
    """One language's prompts below AST_SOUND_DIR. Blocking; raises OSError as the disk does.

    Attributes:
        root: AST_SOUND_DIR.
        path: the language's directory.
        forms: the forms each prompt is there in.
    """

    def __init__(self, root: Path, language: str, forms: Sequence[Form]) -> None:
        self.root = root
        self.path = root / language
        self.forms = forms

    def prepare(self) -> None:
        """Make the language's directory; AST_SOUND_DIR itself must be there."""
        if not self.root.is_dir():
            raise NotADirectoryError(20, "no such directory", str(self.root))
        self.path.mkdir(mode=0o755, exist_ok=True)

    def is_current(self, name: str, source: str) -> bool:
        """Whether the files of all forms are there, unchanged, and made from this source."""
        made = self._manifest().get(name)
        if made is None or made.source != source:
            return False
        return all(self._is_intact(self._file(name, form), made, form) for form in self.forms)

    @staticmethod
    def _is_intact(path: Path, made: Made, form: Form) -> bool:
        return path.is_file() and made.outputs.get(form) == _digest(path.read_bytes())

    def put(self, name: str, sounds: Sounds, source: str) -> None:
        """Write a prompt, each file in one step, and note what it was made from."""
        for form, content in sounds.items():
            path = self._file(name, form)
            remove_abandoned(path.parent, path.name)
            write_whole(path, content)
        made = self._manifest()
        made[name] = Made(source, {form: _digest(content) for form, content in sounds.items()})
        lines = {key: asdict(one) for key, one in made.items()}
        text = json.dumps(lines, indent=1, sort_keys=True) + "\n"
        remove_abandoned(self.path, _MANIFEST)
        write_whole(self.path / _MANIFEST, text.encode())

    def remove_other_forms(self, name: str) -> list[str]:
        """Remove other forms of the prompt that Asterisk might prefer; give their names."""
        removed = []
        for suffix in other_forms(self.forms):
            path = self.path / f"{name}.{suffix}"
            if path.is_file():
                path.unlink()
                removed.append(path.name)
        return removed

    def _file(self, name: str, form: Form) -> Path:
        return self.path / f"{name}.{form}"

    def _manifest(self) -> dict[str, Made]:
        """Read the notes; broken ones are as good as none, the prompts are made again."""
        try:
            lines = json.loads((self.path / _MANIFEST).read_text(encoding="utf-8"))
            return {name: Made(one["source"], dict(one["outputs"])) for name, one in lines.items()}
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return {}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
