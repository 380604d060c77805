"""Prompts of a second, so that a call takes no longer than what it shows."""

from __future__ import annotations

from lab import troubles
from lab.paths import REPOSITORY, LabPaths

_ALAW_SILENCE = b"\xd5"
_BYTES_PER_MS = 8


def settings(folder: str = "short", **lengths_ms: int) -> dict[str, str]:
    """Write the prompts where the lab's Asterisk looks; give the settings that play them."""
    directory = LabPaths(REPOSITORY / ".lab").sound_dir / folder / "en"
    directory.mkdir(parents=True, exist_ok=True)
    for name, length_ms in (troubles.PROMPT_MS | lengths_ms).items():
        audio = _ALAW_SILENCE * (length_ms * _BYTES_PER_MS)
        (directory / f"{name}.alaw").write_bytes(audio)
    return {"AST_SOUND_PREFIX": f"custom/{folder}"}
